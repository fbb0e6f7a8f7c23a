// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol

/// What a test's coordinator says.
enum Orders {
    static let permit = ReferenceID(high: 1, low: 2)

    static func stamp(_ term: UInt64, epoch: UInt64 = 7) -> OrderStamp {
        OrderStamp(term: Term(rawValue: term), mapEpoch: MapEpoch(rawValue: epoch))
    }

    static func amendment(
        _ kind: RecordAmendment.Kind,
        of record: UInt64,
        term: UInt64 = 0,
        sequence: UInt64 = 1
    ) -> RecordAmendment {
        RecordAmendment(
            recordID: TestRecord.id(record),
            kind: kind,
            order: RecordAmendment.Order(term: Term(rawValue: term), sequence: sequence),
            reference: permit,
            issuedAtMilliseconds: 1000,
            payload: ByteBuffer(string: "trial \(sequence)")
        )
    }
}
