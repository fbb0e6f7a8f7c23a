// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement

/// What is to be done next with a study that is to come back: a function of what the catalog has in packs only, and of what
/// could not be read just now.
package enum RecallPlan {
    /// Records that are read from a pack at once.
    package struct Batch: Equatable, Sendable {
        package var pack: RecallableRecord.Pack
        package var records: [RecordID]
        package var byteCount: Int64
        /// Nodes that may be dropping a copy of these yet, and so are not given one.
        package var avoided: Set<NodeID>

        package init(pack: RecallableRecord.Pack, records: [RecordID], byteCount: Int64, avoided: Set<NodeID> = []) {
            self.pack = pack
            self.records = records
            self.byteCount = byteCount
            self.avoided = avoided
        }
    }

    package enum Step: Equatable, Sendable {
        case read(Batch)
        /// On too many hosts nodes may be dropping copies of what is left: they have to say first that these are gone.
        case settle
        /// What is left can't be read now.
        case giveUp
        /// Nothing is in packs only any more.
        case finish
    }

    /// What was tried since the catalog was asked.
    package struct Tried: Equatable, Sendable {
        /// A record, and a pack that did not give it.
        package struct Record: Hashable, Sendable {
            package var record: RecordID
            package var pack: RecallableRecord.Pack

            package init(record: RecordID, pack: RecallableRecord.Pack) {
                self.record = record
                self.pack = pack
            }
        }

        package var records: Set<Record> = []
        /// Packs that could not be read from at all.
        package var packs: Set<RecallableRecord.Pack> = []

        package init() {}
    }

    /// The next step of a recall whose study has these records in packs only, of which `targets` on `least` hosts have to get a
    /// copy each.
    package static func next(
        _ records: [RecallableRecord],
        _ tried: Tried,
        targets: [StorageMember],
        least: Int,
        limits: RecallLimits
    ) -> Step {
        guard !records.isEmpty else { return .finish }
        var batch: Batch?
        var isSettling = false
        for record in records {
            guard let pack = record.pack, !tried.packs.contains(pack),
                !tried.records.contains(Tried.Record(record: record.record, pack: pack))
            else { continue }
            let avoided = Set(record.dropping).intersection(targets.map(\.id))
            guard hostCount(targets.filter { !avoided.contains($0.id) }) >= least else {
                isSettling = true
                continue
            }
            guard var begun = batch else {
                batch = Batch(pack: pack, records: [record.record], byteCount: record.byteCount, avoided: avoided)
                continue
            }
            guard begun.pack == pack, begun.avoided == avoided else { continue }
            guard begun.records.count < limits.recordsAtOnce,
                begun.byteCount + record.byteCount <= limits.bytesAtOnce
            else { break }
            begun.records.append(record.record)
            begun.byteCount += record.byteCount
            batch = begun
        }
        if let batch { return .read(batch) }
        return isSettling ? .settle : .giveUp
    }

    /// The nodes that get the records of a group: those that the map wants them on and that answer; when these stand on too few
    /// hosts, others that stand in.
    package static func targets(
        of group: PlacementGroup,
        map: PlacementMap,
        copies: Int,
        answering: Set<NodeID>,
        least: Int
    ) -> [StorageMember] {
        var chosen = map.holders(of: group, copies: copies).filter { answering.contains($0) }.compactMap { map[$0] }
        let away = Set(map.members.map(\.id)).subtracting(answering)
        for other in map.ranking(of: group, copies: copies, avoiding: away) {
            guard hostCount(chosen) < min(least, copies) else { break }
            // A second copy on a host is lost with the first.
            guard answering.contains(other.id), !chosen.contains(where: { $0.domain == other.domain }) else { continue }
            chosen.append(other)
        }
        return chosen
    }

    /// The hosts that these stand on: two copies on one count once, as they do when a store is acknowledged (`WriteQuorum`).
    package static func hostCount(_ members: [StorageMember]) -> Int {
        Set(members.map(\.domain)).count
    }

    /// The nodes in the order in which they are asked to read a pack: at each new attempt the next comes first.
    package static func readers(_ targets: [NodeID], attempt: Int) -> [NodeID] {
        guard !targets.isEmpty else { return [] }
        let first = attempt % targets.count
        return Array(targets[first...] + targets[..<first])
    }
}
