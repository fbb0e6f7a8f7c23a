// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Placement

/// The catalog as a model: what Postgres promises through `Catalog`, and how it can be away.
///
/// One primary whose commits survive a failover. Committing is idempotent: the same instance again is a duplicate, other
/// content under its UID a conflict. A request may be applied although its answer never comes.
final class CatalogModel {
    struct Entry {
        var recordID: RecordID
        var nodes: [NodeID]
        var study: String
        var instance: String
        var contentDigest: SHA256Digest
    }

    enum Outcome {
        case committed, duplicate, conflict
    }

    enum Failure: Error {
        case unavailable, outcomeUnknown, timedOut, staleTerm
    }

    let world: World
    /// By SOP Instance UID; more than one row is a mistake.
    private(set) var rows: [String: [Entry]] = [:]
    /// The records that are deleted; their rows stay.
    var deleted: Set<RecordID> = []
    var isAway = false
    var isSlow = false
    /// Percent of commits whose outcome nobody learns.
    var unknownPercent = 0.0
    /// Rises when all connections break.
    private(set) var generation = 0
    var map: PlacementMap
    /// The term of the coordinator in office.
    var term = Term(rawValue: 1)
    /// What is registered of the storage nodes.
    var nodes: [NodeID: NodeRow] = [:]
    /// What operators asked for, in that order.
    var orders: [NodeOrder] = []

    init(world: World, map: PlacementMap) {
        self.world = world
        self.map = map
    }

    func failOver() { generation += 1 }

    /// A statement that may be repeated, under a term of office or none.
    func perform<Value>(
        under term: Term?,
        _ body: @escaping () -> Value,
        _ reply: @escaping (Result<Value, Failure>) -> Void
    ) {
        let began = generation
        world.after(delay()) { [self] in
            guard !isAway, began == generation else { return reply(.failure(.unavailable)) }
            guard term == nil || term == self.term else { return reply(.failure(.staleTerm)) }
            let isUnknown = world.chance(unknownPercent)
            if isUnknown { world.count(.catalogUnknown, "a statement") }
            let value = isUnknown && world.chance(50) ? nil : Optional(body())
            world.after(delay()) { [self] in
                guard let value, !isUnknown, !isAway, began == generation else {
                    return reply(.failure(.outcomeUnknown))
                }
                reply(.success(value))
            }
        }
    }

    /// All rows of what is not deleted, by record.
    var live: [Entry] {
        rows.values.joined().filter { !deleted.contains($0.recordID) }.sorted { $0.recordID < $1.recordID }
    }

    /// An instance's copies are on these nodes now.
    func place(_ entry: Entry, on nodes: [NodeID]) {
        guard let index = rows[entry.instance]?.firstIndex(where: { $0.recordID == entry.recordID }) else { return }
        rows[entry.instance]?[index].nodes = nodes
    }

    private func delay() -> Int64 { isSlow ? world.time(20_000...900_000) : world.time(100...1500) }

    /// Calls back once; a client that has given up no longer listens.
    func commit(_ entry: Entry, _ reply: @escaping (Result<Outcome, Failure>) -> Void) {
        let began = generation
        world.after(delay()) { [self] in
            guard !isAway, began == generation else { return reply(.failure(.unavailable)) }
            let isUnknown = world.chance(unknownPercent)
            if isUnknown { world.count(.catalogUnknown, entry.instance) }
            // Whoever does not learn the outcome does not know either whether there was one.
            let outcome = isUnknown && world.chance(50) ? nil : apply(entry)
            world.after(delay()) { [self] in
                guard let outcome, !isUnknown, !isAway, began == generation else {
                    return reply(.failure(.outcomeUnknown))
                }
                reply(.success(outcome))
            }
        }
    }

    private func apply(_ entry: Entry) -> Outcome {
        guard let known = rows[entry.instance]?.first else {
            rows[entry.instance] = [entry]
            return .committed
        }
        if known.contentDigest == entry.contentDigest, known.study == entry.study {
            if world.has(.enterTwice) { rows[entry.instance, default: []].append(entry) }
            return .duplicate
        }
        if world.has(.overwriteConflict) {
            rows[entry.instance] = [entry]
            return .committed
        }
        return .conflict
    }

    func lookUp(_ instance: String, _ reply: @escaping (Result<Entry?, Failure>) -> Void) {
        let began = generation
        world.after(delay()) { [self] in
            guard !isAway, began == generation else { return reply(.failure(.unavailable)) }
            reply(.success(rows[instance]?.first))
        }
    }

    /// The records of which the rows say that a node has a copy, as `Catalog.records(on:)`; nil when there is no answer.
    func records(on node: NodeID, after: RecordID?, limit: Int, _ reply: @escaping ([RecordID]?) -> Void) {
        let began = generation
        world.after(delay()) { [self] in
            guard !isAway, began == generation else { return reply(nil) }
            let live = rows.values.joined().filter { $0.nodes.contains(node) && !deleted.contains($0.recordID) }
            let ids = live.map(\.recordID).sorted()
            reply(Array(ids.filter { id in after.map { id > $0 } ?? true }.prefix(limit)))
        }
    }

    /// Those of `ids` that no row names, as `Catalog.unknown(among:)`; nil when there is no answer.
    func unknown(among ids: [RecordID], _ reply: @escaping ([RecordID]?) -> Void) {
        let began = generation
        world.after(delay()) { [self] in
            guard !isAway, began == generation else { return reply(nil) }
            let known = Set(rows.values.joined().map(\.recordID))
            reply(ids.filter { !known.contains($0) })
        }
    }

    /// The map, as `MapFollower` asks for it; nil when there is no answer.
    func fetchMap(_ reply: @escaping (PlacementMap?) -> Void) {
        let began = generation
        world.after(delay()) { [self] in reply(isAway || began != generation ? nil : map) }
    }
}
