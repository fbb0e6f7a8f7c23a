// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Judges the storage nodes of a cluster by when they last answered and by what operators want of them.
///
/// Pure: the coordinator's one task tells it who answered and when, and asks what that means. Times are readings of any
/// one clock that only goes forward. What counts is time in which somebody watched: when the coordinator itself was
/// stopped, or has just taken over, no node has been silent meanwhile.
public struct Membership: Sendable {
    /// A node's standing that is not what it was at the judgement before.
    public struct Change: Hashable, Sendable {
        public let node: NodeID
        /// `nil` at its first judgement.
        public let before: NodeStanding?
        public let now: NodeStanding
    }

    /// Much of the cluster fell silent at once: it is probably us, and nothing of it is declared out.
    public struct MassLoss: Hashable, Sendable {
        /// The nodes that would have been declared out.
        public let nodes: [NodeID]
        /// Those that fell silent together with them, themselves included.
        public let lostCount: Int
        /// All nodes that have not been removed.
        public let nodeCount: Int
    }

    /// What came out of a judgement.
    public struct Judgement: Hashable, Sendable {
        /// In the order of the nodes' ids.
        public var changes: [Change] = []
        public var massLoss: MassLoss?
    }

    private struct Entry {
        var service: NodeService
        var isOut: Bool
        /// In watched time: since when it has been silent, or has been expected to answer.
        var silentSince: Duration
        var hasAnswered = false
        /// In watched time: since when it has answered without having been down.
        var steadySince: Duration?
        var domain: FailureDomain?
        /// In the caller's time.
        var maintenanceUntil: Duration?
        var isInMaintenance = false
        var judged: NodeStanding?
    }

    private let limits: MembershipLimits
    private var entries: [NodeID: Entry] = [:]
    /// The keys of `entries`, ascending: nothing depends on the order of a dictionary.
    private var order: [NodeID] = []
    /// Time that was watched, and until when in the caller's time.
    private var watched = Duration.zero
    private var watchedUntil: Duration

    /// Begins to watch at `now`.
    public init(limits: MembershipLimits = MembershipLimits(), at now: Duration) {
        self.limits = limits
        self.watchedUntil = now
    }

    /// The nodes that are watched, ascending.
    public var nodes: [NodeID] { order }

    /// A node's standing at the last judgement; nil for one that has not been judged.
    public func standing(of node: NodeID) -> NodeStanding? { entries[node]?.judged }

    /// Whether a node is up and was not down for long enough: what moves to it or is dropped because of it waits for that.
    public func isSteady(_ node: NodeID) -> Bool {
        guard let entry = entries[node], entry.judged?.health == .up, let since = entry.steadySince else {
            return false
        }
        return watched - since >= limits.steadyAfter
    }

    /// What a coordinator that takes over leaves to a node that was down already, before it declares it out.
    private static let graceAfterTakeover = Duration.seconds(60)

    /// Takes over what is written down of a node, or what an operator now wants of it.
    ///
    /// `health`, and for how long the node has been so, counts for nodes that were not known before only: whoever takes over
    /// goes on where another left off. What stands on one host (`domain`) is not lost by chance together.
    public mutating func expect(
        _ node: NodeID,
        service: NodeService,
        domain: FailureDomain? = nil,
        health: NodeStanding.Health = .suspect,
        for age: Duration = .zero,
        maintenanceUntil: Duration? = nil,
        at now: Duration
    ) {
        if entries[node] == nil {
            let index = order.firstIndex { node < $0 } ?? order.endIndex
            order.insert(node, at: index)
            var silence = Duration.zero
            if health == .down {
                let most = max(.zero, limits.outAfter - limits.downAfter - Self.graceAfterTakeover)
                silence = limits.downAfter + min(age, most)
            }
            let time = watchedTime(at: now)
            entries[node] = Entry(service: service, isOut: health == .out, silentSince: time - silence)
            if health == .up { entries[node]?.steadySince = time - age }
        }
        entries[node]?.service = service
        entries[node]?.maintenanceUntil = maintenanceUntil
        if let domain { entries[node]?.domain = domain }
    }

    /// The node answered; false when it has been removed and is to be refused.
    ///
    /// One that nobody has heard of is in service from now on. One that was out is up again, and what it has counts again; when
    /// copies are moved because of it says ``isSteady(_:)``.
    public mutating func answered(_ node: NodeID, at now: Duration) -> Bool {
        if entries[node] == nil { expect(node, service: .inService, at: now) }
        let time = watchedTime(at: now)
        if let entry = entries[node] {
            let wasAway = entry.isOut || time - entry.silentSince >= limits.downAfter
            if wasAway || entry.steadySince == nil { entries[node]?.steadySince = time }
        }
        entries[node]?.silentSince = time
        entries[node]?.hasAnswered = true
        entries[node]?.isOut = false
        return entries[node]?.service != .removed
    }

    /// Judges all nodes.
    public mutating func judge(at now: Duration) -> Judgement {
        watched = watchedTime(at: now)
        watchedUntil = max(watchedUntil, now)
        for node in order { endMaintenance(of: node, at: now) }
        var judgement = Judgement()
        let lost = overdue()
        if lost.isGuarded {
            judgement.massLoss = MassLoss(nodes: lost.nodes, lostCount: lost.lostCount, nodeCount: lost.nodeCount)
        } else {
            for node in lost.nodes { entries[node]?.isOut = true }
        }
        for node in order {
            guard let entry = entries[node] else { continue }
            let standing = standing(of: entry)
            if standing != entry.judged {
                judgement.changes.append(Change(node: node, before: entry.judged, now: standing))
            }
            entries[node]?.judged = standing
        }
        return judgement
    }

    private func watchedTime(at now: Duration) -> Duration {
        watched + min(max(.zero, now - watchedUntil), limits.longestBeat)
    }

    /// When a maintenance ends, a node that is still silent gets the time that any other gets.
    private mutating func endMaintenance(of node: NodeID, at now: Duration) {
        guard let entry = entries[node] else { return }
        let isInMaintenance = entry.maintenanceUntil.map { now < $0 } ?? false
        if entry.isInMaintenance, !isInMaintenance, watched - entry.silentSince >= limits.downAfter {
            entries[node]?.silentSince = watched - limits.downAfter
        }
        entries[node]?.isInMaintenance = isInMaintenance
    }

    /// The nodes whose time to be declared out has come, and whether too many were lost together with one of them.
    private func overdue() -> (nodes: [NodeID], lostCount: Int, nodeCount: Int, isGuarded: Bool) {
        let members = order.compactMap { entries[$0] }.filter { $0.service != .removed }
        let silent = members.filter { isSilent($0, for: limits.downAfter) && !$0.isInMaintenance && !$0.isOut }
        let nodes = order.filter { node in
            guard let entry = entries[node], entry.service != .removed, !entry.isInMaintenance, !entry.isOut else {
                return false
            }
            return isSilent(entry, for: limits.outAfter)
        }
        let together = nodes.map { node in
            silent.filter { other in
                guard let entry = entries[node] else { return false }
                return abs(entry.silentSince, other.silentSince) <= limits.massLossWindow
            }
        }
        let hasOneHost = Self.isOneHost(members)
        let isGuarded = together.contains { lost in
            // A host that dies takes all of its nodes with it: that is one loss, as long as there are others.
            lost.count > 1 && lost.count * 100 > members.count * limits.massLossPercent
                && (hasOneHost || !Self.isOneHost(lost))
        }
        return (nodes, together.map(\.count).max() ?? 0, members.count, isGuarded)
    }

    /// Whether all stand on one host; of those that do not say where they stand nothing is known.
    private static func isOneHost(_ entries: [Entry]) -> Bool {
        guard let first = entries.first?.domain else { return false }
        return entries.allSatisfy { $0.domain == first }
    }

    private func abs(_ left: Duration, _ right: Duration) -> Duration { left < right ? right - left : left - right }

    private func isSilent(_ entry: Entry, for time: Duration) -> Bool { watched - entry.silentSince >= time }

    private func standing(of entry: Entry) -> NodeStanding {
        let health: NodeStanding.Health =
            if entry.isOut {
                .out
            } else if isSilent(entry, for: limits.downAfter) {
                .down
            } else if isSilent(entry, for: limits.suspectAfter) || !entry.hasAnswered {
                .suspect
            } else {
                .up
            }
        return NodeStanding(health: health, service: entry.service, isInMaintenance: entry.isInMaintenance)
    }
}
