// SPDX-License-Identifier: Apache-2.0

package import ReplicationProtocol
import SegmentFormat
import SegmentStore

extension RecordService {
    package func drop(_ request: DropRequest) async throws(ReplicationError) -> [RecordDropOutcome] {
        let drops = request.items.map { item in
            RecordDrop(
                id: item.recordID,
                payloadDigest: item.payloadDigest,
                isHeldElsewhere: item.isHeldElsewhere
            )
        }
        do throws(SegmentStoreError) {
            let outcomes = try await store.drop(
                drops,
                order: SegmentFormat.Amendment.Order(term: request.stamp.term, sequence: request.sequence),
                permit: SegmentFormat.Amendment.Reference(high: request.permit.high, low: request.permit.low),
                mapEpoch: request.stamp.mapEpoch
            )
            return outcomes.map(RecordDropOutcome.init)
        } catch {
            // Not a damaged record: the node as a whole is not sure.
            if error.code == .readFailed { throw ReplicationError(.unknown, error.description) }
            throw ReplicationError(error)
        }
    }
}

extension RecordDropOutcome {
    fileprivate init(_ outcome: DropOutcome) {
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
