// SPDX-License-Identifier: Apache-2.0

public import Placement
public import SegmentFormat

extension SegmentStore {
    /// Lets copies go that are not wanted in this store any more; returns what became of each when that is durable.
    ///
    /// Each is compared first with the digest that the other copies have. `permit` is what a coordinator of the term `authority`
    /// issued. Throws `.staleTerm` when a higher term has been heard of; after any other error some may have been dropped.
    public func drop(
        _ drops: [RecordDrop],
        permit: Amendment.Reference,
        mapEpoch: MapEpoch,
        under authority: Term
    ) async throws(SegmentStoreError) -> [DropOutcome] {
        let objections = try await readers.run { [view] () throws(SegmentStoreError) in
            try drops.map { drop throws(SegmentStoreError) in try view.objection(to: drop) }
        }
        let wanted = zip(drops, objections).filter { $0.1 == nil }.map(\.0)
        var outcomes = try await perform { (engine) throws(SegmentStoreError) in
            try engine.drop(wanted, permit: permit, mapEpoch: mapEpoch, under: authority)
        }[...]
        return objections.map { objection in objection ?? outcomes.popFirst() ?? .absent }
    }
}

extension StoreView {
    /// Why a record is not to be dropped, as far as reading tells; `nil` when nothing is against it.
    package func objection(to drop: RecordDrop) throws(SegmentStoreError) -> DropOutcome? {
        do throws(SegmentStoreError) {
            guard let info = try head(drop.id) else { return .absent }
            return info.payloadDigest == drop.payloadDigest ? nil : .differs
        } catch {
            switch error.code {
            case .deleted: return .deleted
            case .notFound: return .absent
            case .checksumMismatch, .readFailed: return .damaged
            default: throw error
            }
        }
    }
}
