// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import Placement
import Repair
import ReplicationProtocol

/// One coordinator's part in the cluster: holds or awaits the lease, and as leader keeps nodes and map up to date.
///
/// Owned by the coordinator's one task, which calls ``beat()`` each second. Every change it makes carries its term, so
/// that a leader that was asleep while another took over changes nothing.
struct Leadership {
    /// Names of each table that are folded anew at one beat: a small part of the second that it has.
    private static let refoldedNameCount = 1000

    private let configuration: CoordinatorConfiguration
    private let catalog: Catalog
    private let watchers: [NodeWatcher]
    private let healer: Healer
    private let trash: TrashWorker
    private let holds: HoldWorker
    private let purge: PurgeWorker
    private let facts: FactsWorker
    private let lifecycle: LifecycleWorker
    private let repair: RepairWorker
    private let comparison: ComparisonWorker
    private let moves: MoveWorker
    private let recalls: RecallWorker
    private let packs: PackCareWorker
    private let logger: Logger
    /// Distinct for every start of every coordinator: two processes of one name are two holders.
    private let holder: String
    private var hasMigrated = false
    private var term: Term?
    private var registered: [NodeID: StorageMember] = [:]
    private var membership: ClusterMembership
    private var trust: NodeTrust
    private let start = ContinuousClock.now
    private var lastFailure = ""

    init(
        configuration: CoordinatorConfiguration,
        catalog: Catalog,
        watchers: [NodeWatcher],
        healer: Healer,
        trash: TrashWorker,
        holds: HoldWorker,
        purge: PurgeWorker,
        facts: FactsWorker,
        lifecycle: LifecycleWorker,
        repair: RepairWorker,
        comparison: ComparisonWorker,
        moves: MoveWorker,
        recalls: RecallWorker,
        packs: PackCareWorker,
        logger: Logger
    ) {
        self.configuration = configuration
        self.catalog = catalog
        self.watchers = watchers
        self.healer = healer
        self.trash = trash
        self.holds = holds
        self.purge = purge
        self.facts = facts
        self.lifecycle = lifecycle
        self.repair = repair
        self.comparison = comparison
        self.moves = moves
        self.recalls = recalls
        self.packs = packs
        self.trust = NodeTrust(settling: .seconds(Int64(configuration.lossSettlingSeconds)))
        self.logger = logger
        self.membership = ClusterMembership(limits: configuration.membership, logger: logger)
        var generator = SystemRandomNumberGenerator()
        self.holder = "\(configuration.name)#\(String(generator.next() as UInt32, radix: 16))"
    }

    /// Renews or tries to take the lease; as leader, asks the nodes and publishes what changed.
    mutating func beat() async {
        do throws(CatalogError) {
            try await prepareCatalog()
            try await holdLease()
            if let term { try await lead(term: term) }
            if !lastFailure.isEmpty { logger.notice("the catalog answers again") }
            lastFailure = ""
        } catch {
            if error.code == .staleTerm {
                logger.warning("another coordinator has taken over")
                term = nil
                tell(nil)
                return
            }
            // Said once, not each second.
            let failure = "\(error)"
            if failure != lastFailure { logger.warning("cannot lead for now", metadata: ["reason": "\(failure)"]) }
            lastFailure = failure
        }
    }

    /// Gives the lease up, so that a standby need not wait for it to run out.
    mutating func resign() async {
        tell(nil)
        guard let term else { return }
        // When this fails the lease runs out by itself.
        try? await catalog.releaseLease(holder: holder, term: term)
        self.term = nil
    }

    /// Tells those who work for the leader what is known now; `nil` when another leads.
    private mutating func tell(_ situation: Situation?) {
        healer.update(situation)
        trash.update(situation)
        holds.update(situation)
        purge.update(situation)
        facts.update(isLeading: situation != nil)
        lifecycle.update(situation?.stamp.term)
        repair.update(situation)
        moves.update(
            situation.map { MoveView(stamp: $0.stamp, peers: $0.peers, members: Set($0.map.members.map(\.id))) }
        )
        let copies = configuration.copies
        recalls.update(
            situation.map {
                RecallView(stamp: $0.stamp, peers: $0.peers, map: $0.map, copies: copies, idle: $0.idle)
            }
        )
        packs.update(situation.map { PackCareView(stamp: $0.stamp, peers: $0.peers) })
        let now = ContinuousClock.now - start
        // Who leads anew has not seen how long they have been sure.
        let trusted = trust.judge(situation?.answers ?? [], now: now)
        comparison.update(situation.map { $0.comparisonView(trusted) })
    }

    private mutating func prepareCatalog() async throws(CatalogError) {
        guard !hasMigrated else { return }
        let applied = try await catalog.migrate()
        if !applied.isEmpty { logger.info("catalog schema brought up to date", metadata: ["applied": "\(applied)"]) }
        let established = try await catalog.establishCluster(configuration.cluster)
        guard established == configuration.cluster else {
            throw CatalogError(
                .configuration,
                "the catalog belongs to cluster \(established), this coordinator to \(configuration.cluster)"
            )
        }
        hasMigrated = true
    }

    private mutating func holdLease() async throws(CatalogError) {
        let duration = Duration.milliseconds(configuration.leaseMilliseconds)
        if let term {
            if try await catalog.renewLease(holder: holder, term: term, duration: duration) { return }
            logger.warning("the lease was lost", metadata: ["term": "\(term.rawValue)"])
            self.term = nil
            tell(nil)
        }
        term = try await catalog.acquireLease(holder: holder, duration: duration)
        if let term {
            registered = [:]
            membership = ClusterMembership(limits: configuration.membership, logger: logger)
            logger.info("leading", metadata: ["term": "\(term.rawValue)"])
        }
    }

    private mutating func lead(term: Term) async throws(CatalogError) {
        let observations = await withTaskGroup(of: NodeWatcher.Observation.self) { tasks in
            for watcher in watchers { tasks.addTask { await watcher.observe() } }
            var observations: [NodeWatcher.Observation] = []
            for await observation in tasks { observations.append(observation) }
            return observations.sorted { $0.name < $1.name }
        }
        let records = try await catalog.nodeRecords()
        let current = try await catalog.placementMap()
        let members = membership.judge(observations, records, inForce: current)
        for member in members where registered[member.id] != member {
            try await record(member, term: term)
        }
        let map = try await publish(members.filter { $0.state != .removed }, replacing: current, term: term)
        tell(
            Situation(
                observations: observations,
                conditions: membership.conditions,
                map: map,
                term: term,
                alarm: membership.alarm
            )
        )
        try await decideOrders(records, map, term)
        try await refoldNames()
    }

    /// Decides what operators have asked for; the next beat acts on it.
    private func decideOrders(
        _ records: [NodeRecord],
        _ map: PlacementMap,
        _ term: Term
    ) async throws(CatalogError) {
        let orders = try await catalog.openNodeOrders(limit: 1)
        // One a beat: the next is judged by what has become of this.
        guard let order = orders.first, let record = records.first(where: { $0.member.id == order.node }) else {
            return
        }
        let rules = NodeOrderRules(map: map, conditions: membership.conditions, copies: configuration.copies)
        let decision = try await rules.decide(order, service: record.service) {
            () async throws(CatalogError) in
            try await catalog.placedGroups()
        } trashed: {
            () async throws(CatalogError) in
            try await catalog.trashedCopies()
        }
        var facts: Logger.Metadata = ["node": "\(record.member.name)", "order": "\(order.kind)"]
        switch decision {
        case .carriedOut(let service, let note):
            try await catalog.decide(order, service: service, isRefused: false, note: note, term: term)
            logger.notice("an operator's order was carried out", metadata: facts)
        case .refused(let reason):
            try await catalog.decide(order, service: nil, isRefused: true, note: reason, term: term)
            facts["reason"] = "\(reason)"
            logger.notice("an operator's order was refused", metadata: facts)
        }
    }

    /// Folds names that an older program entered, some at each beat.
    private func refoldNames() async throws(CatalogError) {
        let count = try await catalog.refoldNames(limit: Self.refoldedNameCount)
        if count > 0 { logger.info("names folded anew for searching", metadata: ["count": "\(count)"]) }
    }

    private mutating func record(_ member: StorageMember, term: Term) async throws(CatalogError) {
        try await catalog.register(member)
        if registered[member.id]?.state != member.state {
            try await catalog.setState(of: member.id, to: member.state, term: term)
            logger.info(
                "node state",
                metadata: ["node": "\(member.name)", "id": "\(member.id)", "state": "\(member.state.name)"]
            )
        }
        registered[member.id] = member
    }

    /// Publishes a new epoch when the members differ from the map's; returns the map in force.
    private func publish(
        _ members: [StorageMember],
        replacing current: PlacementMap,
        term: Term
    ) async throws(CatalogError) -> PlacementMap {
        let next = PlacementMap(epoch: MapEpoch(rawValue: current.epoch.rawValue + 1), members: members)
        guard !next.members.isEmpty, next.members != current.members else { return current }
        // The first map waits for every configured node, so that no study is placed on half a cluster.
        if current.members.isEmpty && members.count < watchers.count { return current }
        do throws(CatalogError) {
            try await catalog.publish(next, replacing: current.epoch, term: term)
        } catch {
            guard error.code == .conflict else { throw error }
            // Another epoch came first: the next beat reads it.
            return current
        }
        let movement = PlacementMovement(from: current, to: next, copies: configuration.copies)
        logger.info(
            "placement map published",
            metadata: [
                "epoch": "\(next.epoch.rawValue)", "members": "\(next.members.count)",
                "reassigned_groups": "\(movement.changes.count)",
            ]
        )
        let changed = next.members.filter { member in current[member.id].map { $0.weight != member.weight } ?? false }
        if !changed.isEmpty {
            logger.notice(
                "weights of nodes changed with their capacity",
                metadata: ["weights": "\(changed.map { "\($0.name) \($0.weight)" }.joined(separator: ", "))"]
            )
        }
        return next
    }
}
