// SPDX-License-Identifier: Apache-2.0

package import Logging
package import Placement
package import ReplicationProtocol

/// Heals one storage node: has it fetch, from nodes that have good copies, what its own disks have damaged or lost.
///
/// Only adds copies, and amendments that other nodes have; what is damaged stays where it is, and the node itself judges
/// what it misses no more. Each step may be repeated.
package struct NodeHealing: Sendable {
    /// What a run has done.
    package struct Outcome: Hashable, Sendable {
        /// Records that were fetched.
        package var fetchedCount = 0
        /// Records that no other node has, and records that could not be asked for everywhere.
        package var absent: [RecordID] = []
        package var doubtful: [RecordID] = []
        /// Damaged ranges that the node remembers still.
        package var remainingCount: UInt64 = 0
        /// Whether the node was compared with the catalog and its peers.
        package var isReconciled = false
        /// Why it was not, though it needs it.
        package var obstacle: String?
        /// How long what it has lost has still to settle before it is compared.
        package var timeToSettle: Duration = .zero

        package init(fetchedCount: Int = 0, absent: [RecordID] = [], remainingCount: UInt64 = 0) {
            self.fetchedCount = fetchedCount
            self.absent = absent
            self.remainingCount = remainingCount
        }
    }

    /// Pulls that one node is asked for at once.
    private static let pullCount = 4
    private static let pageCount = 4096
    /// Records that no row names which a node is given at most: further copies must not fill its disks.
    package static let maximumUnknownCount = 1000

    let node: any HealingPeer
    /// Those of the other members that answer.
    let others: [any HealingPeer]
    /// The members that may have copies and do not answer.
    private let silent: [StorageMember]
    let map: PlacementMap
    let stamp: OrderStamp
    let catalog: any HealingCatalog
    private let timeToSettle: @Sendable (_ unnamed: UInt64) -> Duration
    let logger: Logger

    /// `timeToSettle` says how long a loss without names is not to be judged yet (`LossAges`).
    package init(
        _ node: any HealingPeer,
        others: [any HealingPeer],
        map: PlacementMap,
        stamp: OrderStamp,
        catalog: any HealingCatalog,
        timeToSettle: @escaping @Sendable (_ unnamed: UInt64) -> Duration,
        logger: Logger
    ) {
        self.node = node
        self.others = others.filter { $0.id != node.id }
        self.silent = map.members.filter { member in
            member.state != .removed && member.id != node.id && !others.contains { $0.id == member.id }
        }
        self.map = map
        self.stamp = stamp
        self.catalog = catalog
        self.timeToSettle = timeToSettle
        self.logger = logger
    }

    /// Fetches what is missing by name; compares the node with the catalog and its peers when it has lost what it cannot
    /// name (`isUncertain`, or damage of unknown content).
    ///
    /// Throws what the node itself answers, and `.staleTerm` when another coordinator has taken over.
    package func run(isUncertain: Bool) async throws(ReplicationError) -> Outcome {
        var outcome = Outcome()
        var page = try await node.damage(from: .start)
        var isComplete = true
        while true {
            isComplete = isComplete && page.isComplete
            try await fetch(page.missing, &outcome)
            guard let next = page.next else { break }
            page = try await node.damage(from: next)
        }
        outcome.remainingCount = try await node.healed(stamp, reconciled: nil)
        guard isUncertain || (!isComplete && outcome.remainingCount > 0) else { return outcome }
        // Asked for anew: what was just forgotten is no part of it any more.
        let unnamed = try await node.damage(from: .start).unnamed
        outcome.timeToSettle = timeToSettle(unnamed)
        guard outcome.timeToSettle <= .zero else {
            outcome.obstacle = "it may have lost copies of stores that are under way, whose end is waited for"
            return outcome
        }
        outcome.obstacle = try await reconcile(&outcome)
        guard outcome.obstacle == nil else { return outcome }
        outcome.isReconciled = true
        outcome.remainingCount = try await node.healed(stamp, reconciled: unnamed)
        return outcome
    }

    // MARK: By name

    private enum Fate: Sendable {
        case fetched, absent, doubtful
    }

    /// Has the node fetch records, some at once.
    private func fetch(_ ids: [RecordID], _ outcome: inout Outcome) async throws(ReplicationError) {
        var rest = ids[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Self.pullCount)
            rest = rest.dropFirst(Self.pullCount)
            let fates = await withTaskGroup(of: (RecordID, Result<Fate, ReplicationError>).self) { tasks in
                for id in batch {
                    tasks.addTask { (id, await fate(of: id)) }
                }
                var fates: [RecordID: Result<Fate, ReplicationError>] = [:]
                for await (id, fate) in tasks { fates[id] = fate }
                return fates
            }
            for id in batch {
                switch try fates[id]?.get() {
                case .fetched?: outcome.fetchedCount += 1
                case .absent?: outcome.absent.append(id)
                case .doubtful?, nil: outcome.doubtful.append(id)
                }
            }
            guard !Task.isCancelled else { throw ReplicationError(.cancelled, "healing was ended") }
        }
    }

    private func fate(of id: RecordID) async -> Result<Fate, ReplicationError> {
        // Who has it need not be who should: a store that found an owner away went elsewhere.
        var isDoubtful = !silent.isEmpty
        for source in sources(of: id.group) {
            do throws(ReplicationError) {
                guard try await copyAmendments(from: id, to: id, of: source) else {
                    // It may have forgotten that the record is deleted.
                    isDoubtful = true
                    continue
                }
                try await node.pull(id, from: source, stamp)
                return .success(.fetched)
            } catch {
                switch error.code {
                case .staleTerm: return .failure(error)
                case .notFound: break
                default:
                    isDoubtful = true
                    logger.debug(
                        "a good copy could not be fetched",
                        metadata: ["record": "\(id)", "source": "\(source.name)", "reason": "\(error)"]
                    )
                }
            }
        }
        return .success(isDoubtful ? .doubtful : .absent)
    }

    /// The other nodes, the likeliest holders first.
    private func sources(of group: PlacementGroup) -> [any HealingPeer] {
        let ranking = map.ranking(of: group, copies: max(1, map.members.count)).map(\.id)
        let likely = ranking.compactMap { id in others.first { $0.id == id } }
        return likely + others.filter { !ranking.contains($0.id) }
    }

    /// Gives the node what another knows to be said about records of one group, tombstones and holds among them; returns
    /// whether the other could read all of it.
    private func copyAmendments(
        from first: RecordID,
        to last: RecordID,
        of source: any HealingPeer
    ) async throws(ReplicationError) -> Bool {
        var isComplete = true
        var place = (record: first, order: RecordAmendment.Order(term: Term(rawValue: 0), sequence: 0))
        while true {
            let page = try await source.amendments(from: place.record, firstOrder: place.order, to: last)
            for amendment in page.amendments {
                // Later holds are taken, too, where the tombstone of a held record is not: the node knows better.
                do throws(ReplicationError) {
                    try await node.amend(amendment, stamp)
                } catch {
                    guard error.code == .held || error.code == .conflict else { throw error }
                }
            }
            isComplete = isComplete && page.isComplete
            guard page.hasMore, let last = page.amendments.last else { return isComplete }
            place = (last.recordID, last.order)
            place.order.sequence += 1
        }
    }

    // MARK: Without names

    /// Gives the node all that it should have by the catalog and does not list; returns why it could not be done.
    private func reconcile(_ outcome: inout Outcome) async throws(ReplicationError) -> String? {
        guard silent.isEmpty else {
            return "it cannot be compared with \(silent.map(\.name).joined(separator: ", ")), which do not answer"
        }
        var unreadable: [String] = []
        for group in PlacementGroup.all {
            guard let (first, last) = group.bounds else { continue }
            for other in others where try await !copyAmendments(from: first, to: last, of: other) {
                if unreadable.last != other.name { unreadable.append(other.name) }
            }
        }
        let stuckCount = outcome.absent.count + outcome.doubtful.count
        let isCaughtUp: Bool
        do {
            // In this order: what is entered between the two is in the rows.
            isCaughtUp = try await fetchUnknown(&outcome)
            try await fetchRows(&outcome)
        } catch let error as ReplicationError {
            throw error
        } catch {
            return "the catalog does not answer: \(error)"
        }
        guard outcome.absent.count + outcome.doubtful.count == stuckCount else {
            return "some of what the catalog says to be there could not be fetched"
        }
        guard isCaughtUp else {
            return "others have more than \(Self.maximumUnknownCount) records that the catalog does not know yet"
        }
        guard unreadable.isEmpty else {
            return "tombstones or holds cannot be read on \(Set(unreadable).sorted().joined(separator: ", "))"
        }
        return nil
    }

    /// Has the node fetch what the catalog says it has and it does not list.
    private func fetchRows(_ outcome: inout Outcome) async throws {
        var listing = NodeListing(node)
        var after: RecordID?
        repeat {
            let page = try await catalog.records(on: node.id, after: after, limit: Self.pageCount)
            var lacking: [RecordID] = []
            for id in page where try await !listing.contains(id) { lacking.append(id) }
            try await fetch(lacking, &outcome)
            after = page.count == Self.pageCount ? page.last : nil
        } while after != nil
    }

    /// Has the node fetch what others have and no row of the catalog knows.
    ///
    /// Stored while the catalog was away, it may have been acknowledged by this node too, which nobody can tell until it is
    /// entered (docs/decisions/0025-storing-without-the-catalog.md). Some copies too many do no harm. False when there are so
    /// many that the catalog has to catch up first.
    private func fetchUnknown(_ outcome: inout Outcome) async throws -> Bool {
        var listing = NodeListing(node)
        var givenCount = 0
        for group in PlacementGroup.all {
            var unknown: Set<RecordID> = []
            for other in others {
                var after: RecordID?
                repeat {
                    let page = try await other.list(group, after: after, limit: Self.pageCount)
                    if !page.isEmpty { unknown.formUnion(try await catalog.unknown(among: page)) }
                    after = page.count == Self.pageCount ? page.last : nil
                } while after != nil
            }
            var lacking: [RecordID] = []
            for id in unknown.sorted() where try await !listing.contains(id) { lacking.append(id) }
            let given = lacking.prefix(Self.maximumUnknownCount - givenCount)
            try await fetch(Array(given), &outcome)
            guard given.count == lacking.count else { return false }
            givenCount += given.count
        }
        return true
    }
}

/// The records that a node lists, asked for in ascending order.
private struct NodeListing {
    private static let pageCount = 4096

    private let node: any HealingPeer
    private var group: PlacementGroup?
    private var page: ArraySlice<RecordID> = []
    private var isLast = false

    init(_ node: any HealingPeer) {
        self.node = node
    }

    /// Whether the node lists a record, which comes after those asked for before.
    mutating func contains(_ id: RecordID) async throws(ReplicationError) -> Bool {
        if group != id.group {
            group = id.group
            page = []
            isLast = false
        }
        while true {
            page = page.drop { $0 < id }
            if let first = page.first { return first == id }
            if isLast { return false }
            let ids = try await node.list(id.group, after: id.predecessor, limit: Self.pageCount)
            isLast = ids.count < Self.pageCount
            page = ids[...]
        }
    }
}

extension PlacementGroup {
    /// The lowest and the highest id that a record of the group can have.
    fileprivate var bounds: (first: RecordID, last: RecordID)? {
        let start = UInt64(rawValue) << 48
        guard let first = RecordID(high: start, low: 0), let last = RecordID(high: start | ~0 >> 16, low: .max) else {
            return nil
        }
        return (first, last)
    }
}
