// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What a storage node has learnt from coordinators and must not forget: the fence behind which older ones stay.
public struct FencePosition: Hashable, Sendable {
    /// The highest term seen.
    public var term: Term
    /// The placement map in force, and whether the node is a member of it.
    public var mapEpoch: MapEpoch
    public var isMember: Bool

    /// A node that no coordinator has spoken to yet takes records.
    public init(
        term: Term = Term(rawValue: 0),
        mapEpoch: MapEpoch = MapEpoch(rawValue: 0),
        isMember: Bool = true
    ) {
        self.term = term
        self.mapEpoch = mapEpoch
        self.isMember = isMember
    }
}

/// What a request claims for itself at the fence.
public enum FenceDemand: Hashable, Sendable {
    /// Adds a copy or protection: safe unless its coordinator is known to be deposed or the node has left the map.
    case addition(term: Term?, mapEpoch: MapEpoch)
    /// Takes something away.
    case removal(OrderStamp)
    /// Says which map is in force.
    case map(OrderStamp, isMember: Bool)

    /// Whether it takes something away.
    public var isRemoval: Bool {
        switch self {
        case .removal: true
        case .addition, .map: false
        }
    }

    fileprivate var term: Term? {
        switch self {
        case .addition(let term, _): term
        case .removal(let stamp), .map(let stamp, _): stamp.term
        }
    }
}

/// Keeps orders of deposed coordinators out of a storage node.
///
/// Pure; shared by all connections of a node, which therefore wrap it in a lock. Once a request of a higher term has
/// been admitted, nothing that was ordered under a lower one takes effect any more: the fence is raised only after the
/// removals under way have ended, and is durable before the request goes on.
public struct TermFence: Sendable {
    /// Names a request that waits.
    public typealias Ticket = UInt64

    public enum Admission: Hashable, Sendable {
        /// Go on; a removal says ``left()`` when it has ended.
        case admitted
        case refused(ReplicationError)
        /// Wait until ``persisted(_:)`` names the ticket.
        case waiting(Ticket)
    }

    /// What to do after an event.
    public struct Effects: Hashable, Sendable {
        /// The requests that wait no longer, in order.
        public var decided: [Decision] = []
        /// Make this durable, then say ``TermFence/persisted(_:)``.
        public var persist: FencePosition?

        public init(decided: [Decision] = [], persist: FencePosition? = nil) {
            self.decided = decided
            self.persist = persist
        }
    }

    public struct Decision: Hashable, Sendable {
        public let ticket: Ticket
        /// `nil`: admitted.
        public let refusal: ReplicationError?

        public init(ticket: Ticket, refusal: ReplicationError?) {
            self.ticket = ticket
            self.refusal = refusal
        }
    }

    private struct Raise {
        var target: FencePosition
        var isPersisting = false
        var waiters: [(ticket: Ticket, demand: FenceDemand)] = []
    }

    /// What is durable.
    public private(set) var position: FencePosition
    private var raise: Raise?
    /// Removals that were admitted and have not ended.
    private var removalCount = 0
    private var nextTicket: Ticket = 1

    public init(_ position: FencePosition) {
        self.position = position
    }

    /// Why the demand is refused whatever comes; `nil` when it may be admitted.
    public func refusal(of demand: FenceDemand) -> ReplicationError? {
        let known = raise?.target ?? position
        if let term = demand.term, term < known.term {
            return ReplicationError(
                .staleTerm,
                "ordered in term \(term.rawValue); a coordinator of term \(known.term.rawValue) has taken over"
            )
        }
        switch demand {
        case .addition(_, let mapEpoch):
            guard !known.isMember, mapEpoch < known.mapEpoch else { return nil }
            return ReplicationError(
                .staleEpoch,
                "the node has left the placement map: epoch \(known.mapEpoch.rawValue) is in force"
            )
        case .removal(let stamp), .map(let stamp, _):
            guard stamp.mapEpoch < known.mapEpoch else { return nil }
            return ReplicationError(
                .staleEpoch,
                "ordered under map epoch \(stamp.mapEpoch.rawValue); \(known.mapEpoch.rawValue) is in force"
            )
        }
    }

    /// A request wants to be carried out.
    public mutating func enter(_ demand: FenceDemand) -> (admission: Admission, effects: Effects) {
        if let error = refusal(of: demand) { return (.refused(error), Effects()) }
        let ticket = nextTicket
        nextTicket += 1
        guard admit(demand, ticket: ticket) else { return (.waiting(ticket), persistIfIdle()) }
        return (.admitted, Effects())
    }

    /// A removal has ended, well or not.
    public mutating func left() -> Effects {
        precondition(removalCount > 0, "a removal ends once")
        removalCount -= 1
        return persistIfIdle()
    }

    /// The position is durable, or (an error) may not be.
    public mutating func persisted(_ error: ReplicationError?) -> Effects {
        guard let raise, raise.isPersisting else { preconditionFailure("nothing was to be made durable") }
        self.raise = nil
        if let error {
            return Effects(decided: raise.waiters.map { Decision(ticket: $0.ticket, refusal: error) })
        }
        position = raise.target
        var effects = Effects()
        for (ticket, demand) in raise.waiters {
            if let error = refusal(of: demand) {
                effects.decided.append(Decision(ticket: ticket, refusal: error))
            } else if admit(demand, ticket: ticket) {
                effects.decided.append(Decision(ticket: ticket, refusal: nil))
            }
        }
        effects.persist = persistIfIdle().persist
        return effects
    }

    /// Admits what needs nothing raised; else lines it up and returns `false`.
    private mutating func admit(_ demand: FenceDemand, ticket: Ticket) -> Bool {
        // Without a term it neither raises the fence nor depends on it.
        guard let term = demand.term else { return true }
        var wanted = raise?.target ?? position
        wanted.term = term
        if case .map(let stamp, let isMember) = demand {
            wanted.mapEpoch = stamp.mapEpoch
            wanted.isMember = isMember
        }
        if raise == nil, wanted == position {
            if case .removal = demand { removalCount += 1 }
            return true
        }
        var raise = raise ?? Raise(target: wanted)
        // What is being written stays as it is; whoever wants more has his turn afterwards.
        if !raise.isPersisting { raise.target = wanted }
        raise.waiters.append((ticket, demand))
        self.raise = raise
        return false
    }

    private mutating func persistIfIdle() -> Effects {
        guard removalCount == 0, let raise, !raise.isPersisting else { return Effects() }
        self.raise?.isPersisting = true
        return Effects(persist: raise.target)
    }
}

extension Message {
    /// What the message that opens a stream claims at the fence; `nil` for questions.
    public var fenceDemand: FenceDemand? {
        switch self {
        case .putBegin(let begin): .addition(term: begin.request.term, mapEpoch: begin.request.mapEpoch)
        case .pull(let request): .addition(term: request.stamp.term, mapEpoch: request.stamp.mapEpoch)
        case .buildPack(let request): .addition(term: request.stamp.term, mapEpoch: request.stamp.mapEpoch)
        case .verifyPack(let request): .addition(term: request.stamp.term, mapEpoch: request.stamp.mapEpoch)
        case .recall(let request): .addition(term: request.stamp.term, mapEpoch: request.stamp.mapEpoch)
        case .amend(let request): request.fenceDemand
        case .purgePermit(let request): .removal(request.stamp)
        case .drop(let request): .removal(request.stamp)
        case .removePack(let request): .removal(request.stamp)
        // A node that has forgotten its damage says "not found" where it said "unknown".
        case .healed(let request): .removal(request.stamp)
        case .map(let request): .map(request.stamp, isMember: request.isMember)
        default: nil
        }
    }
}

extension Message {
    /// How long the client waits, of a message that opens a stream; 0 for no limit.
    public var timeoutMilliseconds: UInt32 {
        switch self {
        case .putBegin(let begin): begin.timeoutMilliseconds
        case .get(let request): request.timeoutMilliseconds
        case .head(let query), .verify(let query): query.timeoutMilliseconds
        case .list(let request): request.timeoutMilliseconds
        case .status(let timeoutMilliseconds): timeoutMilliseconds
        case .places(let request): request.timeoutMilliseconds
        case .amend(let request): request.timeoutMilliseconds
        case .amendments(let request): request.timeoutMilliseconds
        case .digest(let request): request.timeoutMilliseconds
        case .pull(let request): request.timeoutMilliseconds
        case .purgePermit(let request): request.timeoutMilliseconds
        case .map(let request): request.timeoutMilliseconds
        case .damage(let request): request.timeoutMilliseconds
        case .healed(let request): request.timeoutMilliseconds
        case .drop(let request): request.timeoutMilliseconds
        case .buildPack(let request): request.timeoutMilliseconds
        case .verifyPack(let request): request.timeoutMilliseconds
        case .recall(let request): request.timeoutMilliseconds
        case .removePack(let request): request.timeoutMilliseconds
        default: 0
        }
    }
}

extension AmendRequest {
    /// A hold is welcome from whoever asks for it, as puts are.
    fileprivate var fenceDemand: FenceDemand {
        amendment.kind.isFenced ? .removal(stamp) : .addition(term: nil, mapEpoch: stamp.mapEpoch)
    }
}
