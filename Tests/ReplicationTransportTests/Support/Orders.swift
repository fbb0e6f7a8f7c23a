// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol

/// What a test's coordinator says.
enum Orders {
    static let permit = PermitID(high: 1, low: 2)

    static func stamp(_ term: UInt64, epoch: UInt64 = 7) -> OrderStamp {
        OrderStamp(term: Term(rawValue: term), mapEpoch: MapEpoch(rawValue: epoch))
    }

    static func hold(_ record: UInt64, sequence: UInt64, kind: AmendmentKind = .hold, term: UInt64? = nil) -> Amendment
    {
        Amendment(
            recordID: TestRecord.id(record),
            sequence: sequence,
            kind: kind,
            term: term.map(Term.init(rawValue:)),
            payload: .init(string: "trial \(sequence)")
        )
    }
}
