// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import Placement
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
    private let logger: Logger
    /// Distinct for every start of every coordinator: two processes of one name are two holders.
    private let holder: String
    private var hasMigrated = false
    private var term: Term?
    private var registered: [NodeID: StorageMember] = [:]
    private var lastFailure = ""

    init(
        configuration: CoordinatorConfiguration,
        catalog: Catalog,
        watchers: [NodeWatcher],
        healer: Healer,
        trash: TrashWorker,
        logger: Logger
    ) {
        self.configuration = configuration
        self.catalog = catalog
        self.watchers = watchers
        self.healer = healer
        self.trash = trash
        self.logger = logger
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
    private func tell(_ situation: Healer.Situation?) {
        healer.update(situation)
        trash.update(situation)
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
        let members = observations.compactMap { StorageMember($0) }
        for member in members where registered[member.id] != member {
            try await record(member, term: term)
        }
        let map = try await publish(members, term: term)
        tell(Healer.Situation(observations, map: map, term: term))
        try await refoldNames()
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
    ///
    /// A member that does not answer keeps its place: it owns its groups until somebody decides otherwise.
    private func publish(_ members: [StorageMember], term: Term) async throws(CatalogError) -> PlacementMap {
        let current = try await catalog.placementMap()
        let known = Set(members.map(\.id))
        let silent = current.members.filter { !known.contains($0.id) }
        let next = PlacementMap(
            epoch: MapEpoch(rawValue: current.epoch.rawValue + 1),
            members: members + silent
        )
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
        logger.info(
            "placement map published",
            metadata: ["epoch": "\(next.epoch.rawValue)", "members": "\(next.members.count)"]
        )
        return next
    }
}

extension StorageMember {
    /// The member that an observed node is; nil until it has said who it is.
    fileprivate init?(_ observation: NodeWatcher.Observation) {
        guard let identity = observation.identity else { return nil }
        self.init(
            id: identity.nodeID,
            name: observation.name,
            host: observation.address.host,
            port: observation.address.port,
            domain: identity.domain,
            weight: 100,
            state: observation.state
        )
    }
}
