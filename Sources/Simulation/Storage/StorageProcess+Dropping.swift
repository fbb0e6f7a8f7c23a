// SPDX-License-Identifier: Apache-2.0

import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// Copies that are let go; follows `RecordService.drop` and `NodeStore.drop`.
extension StorageProcess {
    func drop(
        _ items: [DropRequest.Item],
        permit: ReferenceID,
        _ stamp: OrderStamp,
        sequence: UInt64,
        _ answer: @escaping Answer<[RecordDropOutcome]>
    ) {
        fenced(.removal(stamp), answer) { [self] answer in
            let order = Amendment.Order(term: stamp.term, sequence: sequence)
            if let last = lastDrop, order <= last, !world.has(.dropLate) {
                return answer(.failure(ReplicationError(.invalidRequest, "a later order has come before this one")))
            }
            lastDrop = order
            world.note("\(name) takes the order \(order.term.rawValue).\(order.sequence) to drop \(items.count) copies")
            let drops = items.map {
                RecordDrop(id: $0.recordID, payloadDigest: $0.payloadDigest, isHeldElsewhere: $0.isHeldElsewhere)
            }
            step(100...900) { [self] engine -> Result<[RecordDropOutcome], ReplicationError> in
                guard items.isEmpty || !engine.status.isUncertain else {
                    return .failure(ReplicationError(.unknown, "the node is not sure of what it has"))
                }
                let result = Result { () throws(SegmentStoreError) in
                    try engine.drop(
                        drops,
                        permit: Amendment.Reference(high: permit.high, low: permit.low),
                        mapEpoch: stamp.mapEpoch,
                        under: stamp.term
                    )
                }
                if case .success(let outcomes) = result {
                    for (item, outcome) in zip(items, outcomes) where outcome == .dropped {
                        let isHeld = (try? engine.standing(of: item.recordID))?.isHeld ?? false
                        dropped(item.recordID, store.id, isHeld && !item.isHeldElsewhere)
                    }
                }
                return result.map { $0.map(RecordDropOutcome.init(simulated:)) }
                    .mapError(ReplicationError.init(store:))
            } _: {
                answer($0)
            }
        }
    }
}

extension RecordDropOutcome {
    fileprivate init(simulated outcome: DropOutcome) {
        switch outcome {
        case .dropped: self = .dropped
        case .absent: self = .absent
        case .deleted: self = .deleted
        case .held: self = .held
        case .differs: self = .differs
        case .damaged: self = .damaged
        }
    }
}
