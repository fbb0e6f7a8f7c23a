// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import SegmentStore

/// Knows what was promised, and finds what breaks it.
///
/// It sees through the cluster: it may look at any disk and at the catalog, which no part of the cluster may.
final class Oracle {
    /// An instance whose client was told that it is stored.
    struct Promise {
        let instance: Instance
        var nodes: Set<NodeID>
        /// The catalog was away when it was promised: only then may two contents of one UID have been.
        var isNoted: Bool
    }

    let world: World
    let nodes: [NodeID: StorageProcess]
    let catalog: CatalogModel
    /// By SOP Instance UID, in the order of the promises.
    private(set) var promises: [String: [Promise]] = [:]
    /// Records that a coordinator was asked to delete: they need not be there, and after a deletion must not.
    private(set) var doomed: Set<RecordID> = []
    private var refused: Set<RecordID> = []
    private var tombstones: Set<Fact> = []
    private var holds: Set<Fact> = []
    /// Copies that nodes have let go.
    var letGo: Set<Fact> = []
    private var highestTerm: [NodeID: Term] = [:]
    private(set) var promiseCount = 0
    private(set) var readCount = 0
    /// Copies that coordinators had made and counted.
    var copyCount = 0
    /// Copies that nodes have let go.
    var dropCount = 0

    struct Fact: Hashable {
        let node: NodeID
        let record: RecordID
    }

    init(world: World, nodes: [StorageProcess], catalog: CatalogModel) {
        self.world = world
        self.nodes = Dictionary(uniqueKeysWithValues: nodes.map { ($0.store.id, $0) })
        self.catalog = catalog
    }

    private func isSound(_ node: NodeID) -> Bool { nodes[node].map { !$0.store.isUnsound && !$0.isLost } ?? false }

    // MARK: While it runs

    /// A client was told that its instance is stored.
    func promised(_ instance: Instance, _ stored: StoreOperation.Stored) {
        promiseCount += 1
        world.mix(instance.recordID.low)
        world.note("promised \(instance.name), \(stored.outcome), on \(stored.nodes.compactMap { nodes[$0]?.name })")
        let holders = stillHolding(instance, stored.nodes)
        let isNoted = stored.outcome == .noted || (stored.outcome == .duplicate && catalogLacks(instance))
        var known = promises[instance.sopInstanceUID] ?? []
        if let index = known.firstIndex(where: { $0.instance.digest == instance.digest }) {
            known[index].nodes.formUnion(holders)
        } else {
            if let other = known.first, !isNoted, !other.isNoted {
                world.violate("\(instance.name) is promised, and so is \(other.instance.name) of the same UID")
            }
            known.append(Promise(instance: instance, nodes: Set(holders), isNoted: isNoted))
        }
        promises[instance.sopInstanceUID] = known
        let hosts = Set(holders.compactMap { nodes[$0]?.domain })
        // Copies that were dropped before the client was told: a pack stands in for them.
        let isInPack = !Set(holders).isSuperset(of: stored.nodes) && isPacked(instance.recordID)
        if hosts.count < world.plan.acknowledgements, !isInPack {
            world.violate("\(instance.name) is promised with copies on \(hosts.count) hosts")
        }
        checkDurable(instance, holders)
    }

    /// Where a promised instance is: of nodes that had it already, and have let it go before the client was told, those that the
    /// catalog counts stand in, which were read when that was decided.
    private func stillHolding(_ instance: Instance, _ acknowledged: [NodeID]) -> [NodeID] {
        let gone = acknowledged.filter {
            letGo.contains(Fact(node: $0, record: instance.recordID)) && !has(instance, $0)
        }
        guard !gone.isEmpty else { return acknowledged }
        let row = catalog.live.first { $0.recordID == instance.recordID }
        return Set(acknowledged).subtracting(gone).union(row?.nodes ?? []).sorted()
    }

    private func has(_ instance: Instance, _ node: NodeID) -> Bool {
        guard let engine = nodes[node]?.store.engine else { return false }
        // What cannot be read is there.
        let head = Result { () throws(SegmentStoreError) in try engine.head(instance.recordID) }
        if case .success(nil) = head { return false }
        return true
    }

    private func catalogLacks(_ instance: Instance) -> Bool {
        catalog.rows[instance.sopInstanceUID]?.first?.contentDigest != instance.digest
    }

    /// What would be there if all power were lost now.
    func checkDurable(_ instance: Instance, _ holders: [NodeID]) {
        guard !doomed.contains(instance.recordID) else { return }
        for id in holders.sorted() where isSound(id) {
            guard let node = nodes[id] else { continue }
            guard var left = node.store.afterWorstLoss() else {
                world.violate("after a loss of power \(node.name) could not be opened")
                continue
            }
            defer { left.abandon() }
            check(instance, in: left, "\(node.name) after a loss of power")
        }
    }

    func check(_ instance: Instance, in engine: StoreEngine, _ place: String) {
        do throws(SegmentStoreError) {
            if try engine.read(instance.recordID) != instance.payload {
                world.violate("\(place) gives other bytes of \(instance.name)")
            }
            try engine.verify(instance.recordID)
        } catch {
            world.violate("\(place) does not have \(instance.name): \(error)")
        }
    }

    /// A client read an instance; nil when it could not.
    func read(_ instance: Instance, _ bytes: ByteBuffer?, isFinal: Bool) {
        guard let bytes else {
            if isFinal { world.violate("\(instance.name) can't be read after all is healed") }
            return
        }
        readCount += 1
        let known = promises[instance.sopInstanceUID] ?? []
        guard !known.contains(where: { $0.instance.payload == bytes }) else { return }
        // What was never promised may be read too, when it is whole.
        let isWhole = candidates(instance.sopInstanceUID).contains { $0.payload == bytes }
        if !isWhole || isFinal { world.violate("wrong bytes of \(instance.name): \(bytes.readableBytes) of them") }
    }

    /// All instances that were ever sent under a UID.
    var candidates: (String) -> [Instance] = { _ in [] }

    /// Whether a record can be read from a pack.
    var isPacked: (RecordID) -> Bool = { _ in false }

    /// Whether a record is in a pack, and no node whose disk keeps its word is counted to have it: there is no way back yet.
    func isLeftToPack(_ row: CatalogModel.Entry) -> Bool {
        !row.nodes.contains { isSound($0) } && isPacked(row.recordID)
    }

    func catalogRefused(_ id: RecordID) { refused.insert(id) }

    /// Whether the catalog refused what was promised without it, and said so (docs/decisions/0025).
    func isReported(_ promise: Promise) -> Bool { promise.isNoted && refused.contains(promise.instance.recordID) }

    /// From now on a node has to have a record as if it had acknowledged it to a client.
    func hold(_ id: RecordID, on node: NodeID) {
        for uid in promises.keys.sorted() {
            guard let index = promises[uid]?.firstIndex(where: { $0.instance.recordID == id }) else { continue }
            promises[uid]?[index].nodes.insert(node)
        }
    }

    /// A node need not have a record any more.
    func release(_ id: RecordID, on node: NodeID) {
        for uid in promises.keys.sorted() {
            guard let index = promises[uid]?.firstIndex(where: { $0.instance.recordID == id }) else { continue }
            promises[uid]?[index].nodes.remove(node)
        }
    }

    // MARK: Amendments

    func willDelete(_ id: RecordID) { doomed.insert(id) }

    func held(_ id: RecordID, on node: NodeID) { holds.insert(Fact(node: node, record: id)) }

    func deleted(_ id: RecordID, on node: NodeID, under term: Term) {
        let fact = Fact(node: node, record: id)
        tombstones.insert(fact)
        guard isSound(node), nodes[node]?.store.isWhole ?? false else { return }
        if holds.contains(fact) { world.violate("\(nodes[node]?.name ?? "") deletes what is held") }
        if let highest = highestTerm[node], term < highest {
            world.violate("\(nodes[node]?.name ?? "") deletes under term \(term.rawValue) after \(highest.rawValue)")
        }
    }

    func heard(_ term: Term, on node: NodeID) {
        highestTerm[node] = max(highestTerm[node] ?? term, term)
    }

    /// Looks at a node that runs: what is deleted stays away, what is held stays, and "not there" is true.
    func inspect(_ node: StorageProcess) {
        guard let engine = node.store.engine, node.isRunning else { return }
        let id = node.store.id
        // An amendment that the disk does not give is not known until the node has compared with a peer, and it says so
        // (docs/decisions/0019).
        let isWhole = node.store.isWhole
        for fact in tombstones where fact.node == id && isSound(id) && isWhole {
            let head = Result { () throws(SegmentStoreError) in try engine.head(fact.record) }
            guard case .success(.some) = head else { continue }
            return world.violate("\(node.name) shows a record that was deleted there")
        }
        for fact in holds.subtracting(tombstones) where fact.node == id && isSound(id) && isWhole {
            if let standing = try? engine.standing(of: fact.record), !standing.isHeld {
                return world.violate("\(node.name) has forgotten a hold")
            }
        }
        checkNothingIsCut(node)
        let isUncertain = engine.status.isUncertain
        for (_, known) in promises.sorted(by: { $0.key < $1.key }) {
            for promise in known where promise.nodes.contains(id) && !doomed.contains(promise.instance.recordID) {
                guard isSound(id) || isExpected(promise, on: id) else { continue }
                let head = Result { () throws(SegmentStoreError) in try engine.head(promise.instance.recordID) }
                if case .success(nil) = head, !isUncertain {
                    return world.violate("\(node.name) says for certain that it does not have \(promise.instance.name)")
                }
            }
        }
    }

    /// Damage of one place costs the records at that place: the others' bytes stay where they were, found by the index.
    ///
    /// Looks at the disk from outside, so that nothing is found damaged that would not be otherwise.
    private func checkNothingIsCut(_ node: StorageProcess) {
        guard let damage = node.store.damageCount, damage > 0 else { return }
        let id = node.store.id
        let gone = kept.filter { promise in
            promise.nodes.contains(id) && isExpected(promise, on: id) && node.store.isGone(promise.instance.recordID)
        }
        // A bad sector may lie in two records.
        if gone.count > 2 * damage {
            world.violate("of \(gone.count) records of \(node.name) nothing is left after damage of \(damage) places")
        }
    }

    /// Whether an unsound node is to have a copy: when the catalog names it, or does not know the record yet.
    ///
    /// One that took a further copy of what is entered with others, and lost it, is not asked for it any more.
    private func isExpected(_ promise: Promise, on node: NodeID) -> Bool {
        guard let row = catalog.rows[promise.instance.sopInstanceUID]?.first else { return true }
        return row.recordID != promise.instance.recordID || row.nodes.contains(node)
            || row.nodes.count < world.plan.acknowledgements
    }

    /// A node told someone that it does not have a record, and that it is sure.
    func denied(_ id: RecordID, by node: NodeID) {
        guard !doomed.contains(id) else { return }
        for promise in promises.values.joined() where promise.instance.recordID == id && promise.nodes.contains(node) {
            guard isSound(node) || isExpected(promise, on: node) else { continue }
            world.violate("\(nodes[node]?.name ?? "") denies \(promise.instance.name), which it acknowledged")
        }
    }

    // MARK: At the end

    /// Damage of one place costs the records at that place and no others: nothing is cut off or removed.
    func checkDamage() {
        for node in nodes.values.sorted(by: { $0.store.number < $1.store.number }) {
            guard let damage = node.store.damageCount, damage > 0, let engine = node.store.engine else { continue }
            let lost = kept.filter { promise in
                promise.nodes.contains(node.store.id)
                    && (Result { () throws(SegmentStoreError) in try engine.read(promise.instance.recordID) }).isFailure
            }
            // A bad sector may lie in two records.
            if lost.count > 2 * damage {
                world.violate("\(node.name) lost \(lost.count) records by damage of \(damage) places")
            }
        }
    }

    /// Every copy that the catalog names is good again: on sound nodes, and on the others as long as anybody can tell what
    /// became of their writes.
    func checkRedundancy() {
        for promise in kept where !isReported(promise) {
            let rows = catalog.rows[promise.instance.sopInstanceUID] ?? []
            for row in rows where row.recordID == promise.instance.recordID && !isLeftToPack(row) {
                for id in row.nodes.sorted() where catalog.service(of: id) != .removed {
                    guard let node = nodes[id], node.store.damageCount != nil, let engine = node.store.engine else {
                        continue
                    }
                    check(promise.instance, in: engine, "after healing \(node.name)")
                }
            }
        }
    }

    /// Every promise that must be kept, in order.
    var kept: [Promise] {
        promises.sorted { $0.key < $1.key }.flatMap(\.value).filter { !doomed.contains($0.instance.recordID) }
    }

    func checkCatalog() {
        for promise in kept {
            let rows = catalog.rows[promise.instance.sopInstanceUID] ?? []
            if rows.count > 1 { world.violate("the catalog has \(promise.instance.name) \(rows.count) times") }
            if rows.first?.contentDigest == promise.instance.digest {
                let claimed = rows.first?.nodes ?? []
                for node in claimed where isSound(node) && !(nodes[node]?.isRunning ?? false) {
                    world.violate("a sound node is not running at the end")
                }
                checkHolders(promise.instance, claimed)
                continue
            }
            // Two contents were promised while the catalog was away: one is reported instead of entered.
            if rows.isEmpty || !isReported(promise) {
                world.violate("the catalog does not have \(promise.instance.name), and nobody was told")
            }
        }
    }

    /// Every sound node that acknowledged a copy has it.
    private func checkHolders(_ instance: Instance, _ claimed: [NodeID]) {
        for id in claimed.sorted() where isSound(id) {
            guard let node = nodes[id], let engine = node.store.engine else { continue }
            check(instance, in: engine, "at the end \(node.name), which the catalog names,")
        }
    }

    func checkCopies() {
        for promise in kept {
            for id in promise.nodes.sorted() where isSound(id) {
                guard let node = nodes[id] else { continue }
                guard let engine = node.store.engine else {
                    world.violate(
                        "\(node.name) can't be opened at the end: \(node.lastStartFailure?.description ?? "")"
                    )
                    return
                }
                check(promise.instance, in: engine, "at the end \(node.name)")
            }
        }
    }
}

extension Result {
    fileprivate var isFailure: Bool {
        switch self {
        case .success: false
        case .failure: true
        }
    }
}
