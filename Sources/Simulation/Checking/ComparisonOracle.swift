// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import SegmentFormat
import SegmentStore

/// What must hold of the comparison of catalog and nodes: no verdict is wrong, and in the end nothing is left that it had to find.
final class ComparisonOracle {
    /// For so long a reading is one of the moment: judging of what is found together is as slow as copying.
    private static let longestJudgement: Int64 = 30_000_000

    private let world: World
    private let oracle: Oracle
    private let catalog: CatalogModel
    private let ledger: LedgerModel
    private let nodes: [StorageProcess]
    /// Copies that their nodes lost without knowing it, until they are counted there again.
    private var mislaid: Set<Oracle.Fact> = []
    /// When nodes have read copies whole last.
    private var readAt: [Oracle.Fact: Int64] = [:]
    /// Copies that were counted no more, and counted again.
    private(set) var uncountedCount = 0
    private(set) var recountedCount = 0

    init(_ oracle: Oracle, _ ledger: LedgerModel, nodes: [StorageProcess]) {
        self.world = oracle.world
        self.oracle = oracle
        self.catalog = oracle.catalog
        self.ledger = ledger
        self.nodes = nodes
    }

    private func node(_ id: NodeID) -> StorageProcess? { nodes.first { $0.store.id == id } }

    private func name(_ id: NodeID) -> String { node(id)?.name ?? "\(id)" }

    private func isSound(_ id: NodeID) -> Bool { node(id).map { !$0.store.isUnsound && !$0.isLost } ?? false }

    // MARK: While it runs

    /// A node has lost a copy, and does not know it.
    func mislaid(_ id: RecordID, on node: NodeID) {
        world.count(.copyMislaid, "\(id) on \(name(node))")
        mislaid.insert(Oracle.Fact(node: node, record: id))
        oracle.release(id, on: node)
    }

    /// Whether a copy of a record was lost so, and is not back.
    func isMislaid(_ id: RecordID) -> Bool { mislaid.contains { $0.record == id } }

    private func isMislaid(_ id: RecordID, on node: NodeID) -> Bool {
        mislaid.contains(Oracle.Fact(node: node, record: id))
    }

    /// Those of `keepers` that have lost a copy so: one at the most, which nobody has read, or just before it was lost.
    func excused(_ id: RecordID, _ keepers: [NodeID]) -> [NodeID] { keepers.filter { isMislaid(id, on: $0) } }

    private func isReadLately(_ id: RecordID, on node: NodeID) -> Bool {
        readAt[Oracle.Fact(node: node, record: id)].map { world.now - $0 <= Self.longestJudgement } ?? false
    }

    /// A node has read a copy whole.
    func read(_ id: RecordID, on node: NodeID) { readAt[Oracle.Fact(node: node, record: id)] = world.now }

    /// A copy was made or found, and counted.
    func isBack(_ id: RecordID, on node: NodeID) { mislaid.remove(Oracle.Fact(node: node, record: id)) }

    /// A copy is counted no more because its node does not have it; those on `keepers` are.
    func uncounted(_ id: RecordID, on node: NodeID, besides keepers: [NodeID], under term: Term) {
        uncountedCount += 1
        world.mix(id.low ^ node.low ^ 2)
        world.note("the copy of \(id) that \(name(node)) does not have is counted no more, term \(term.rawValue)")
        if term != catalog.term {
            world.violate("a copy is counted no more under term \(term.rawValue) after \(catalog.term.rawValue) began")
        }
        oracle.release(id, on: node)
        guard !oracle.doomed.contains(id) else { return }
        let fact = Oracle.Fact(node: node, record: id)
        // Sound nodes have what they are counted for; one that was told to drop a copy may have it again by now.
        if isSound(node), !mislaid.contains(fact), !oracle.letGo.contains(fact) {
            world.violate("\(id) is counted no more on \(name(node)), which has never lost it")
        }
        if !keepers.contains(where: { isReadLately(id, on: $0) }) {
            world.violate("\(id) is counted no more on \(name(node)), and no other copy of it was read")
        }
        guard let instance = instance(of: id) else { return }
        oracle.checkDurable(instance, keepers.filter { !isMislaid(id, on: $0) })
    }

    /// A copy that was not counted is.
    func recounted(_ id: RecordID, on node: NodeID, isDropping: Bool, under term: Term) {
        recountedCount += 1
        world.mix(id.low ^ node.low ^ 3)
        world.note("the copy of \(id) that \(name(node)) has is counted again, term \(term.rawValue)")
        if term != catalog.term {
            world.violate("a copy is counted again under term \(term.rawValue) after \(catalog.term.rawValue) began")
        }
        isBack(id, on: node)
        oracle.hold(id, on: node)
        if isDropping { world.violate("\(id) is counted on \(name(node)), which may be dropping it") }
        guard let instance = instance(of: id) else { return }
        oracle.checkDurable(instance, [node])
    }

    /// No good copy is known anywhere, it is said.
    func declaredLost(_ id: RecordID, _ reason: String) {
        world.note("\(id) is said to be lost: \(reason)")
        guard !oracle.doomed.contains(id), catalog.live.contains(where: { $0.recordID == id }) else { return }
        for node in nodes where isSound(node.store.id) && node.isRunning && catalog.map[node.store.id] != nil {
            guard let engine = node.store.engine,
                case .success(.some) = Result(catching: { () throws(SegmentStoreError) in try engine.head(id) })
            else { continue }
            return world.violate("\(id) is said to be lost (\(reason)), and \(node.name) has it")
        }
    }

    private func instance(of id: RecordID) -> Instance? {
        guard let row = catalog.live.first(where: { $0.recordID == id }) else { return nil }
        return oracle.candidates(row.instance).first { $0.recordID == id }
    }

    // MARK: In the end

    /// What is still to be found or judged; nil when the catalog says of all copies on nodes that are sure where they are.
    var unsettled: String? {
        let rows = catalog.live.filter { row in
            !oracle.doomed.contains(row.recordID) && (row.nodes.isEmpty || !oracle.isLeftToPack(row))
        }
        for node in nodes where isMember(node) {
            let (id, itsWordCounts) = (node.store.id, isSure(node))
            // Who is not sure will be, when it has been healed; but one whose writes went astray may never be.
            guard itsWordCounts || node.store.damageCount != nil, let engine = node.store.engine,
                let has = listed(engine)
            else { continue }
            for row in rows {
                if row.nodes.contains(id) {
                    if !has.contains(row.recordID) {
                        return "\(node.name) does not have \(row.recordID), which the catalog names there"
                    }
                } else if itsWordCounts, has.contains(row.recordID), isWhole(row.recordID, engine) {
                    return "\(node.name) has \(row.recordID), and the catalog does not name it there"
                }
            }
        }
        for (key, copy) in ledger.missing.sorted(by: { ($0.key.record, $0.key.node) < ($1.key.record, $1.key.node) }) {
            guard copy.state != .uncounted, rows.contains(where: { $0.recordID == key.record }),
                let node = node(key.node), isMember(node), isSure(node)
            else { continue }
            return "\(key.record) on \(node.name) is \(copy.state) in the end: \(copy.note)"
        }
        return nil
    }

    private func isMember(_ node: StorageProcess) -> Bool {
        node.isRunning && !node.isLost && catalog.map[node.store.id] != nil
    }

    /// Whether the comparison may take the node's word.
    private func isSure(_ node: StorageProcess) -> Bool {
        guard let status = node.store.engine?.status else { return false }
        return !status.isUncertain && !status.quarantinedRanges.contains { $0.kind == .damaged }
    }

    private func listed(_ engine: StoreEngine) -> Set<RecordID>? {
        var ids: Set<RecordID> = []
        for group in ledger.groups {
            guard
                case .success(let page) = Result(catching: { () throws(SegmentStoreError) in
                    try engine.list(group: group, after: nil, limit: 10_000)
                })
            else { return nil }
            ids.formUnion(page)
        }
        return ids
    }

    private func isWhole(_ id: RecordID, _ engine: StoreEngine) -> Bool {
        if case .success = Result(catching: { () throws(SegmentStoreError) in try engine.verify(id) }) { return true }
        return false
    }
}
