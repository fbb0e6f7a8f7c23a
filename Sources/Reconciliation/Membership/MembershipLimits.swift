// SPDX-License-Identifier: Apache-2.0

/// How long silences mean what (design section 6).
public struct MembershipLimits: Hashable, Sendable {
    /// Silence after which a node is suspect, down, and out.
    public var suspectAfter = Duration.seconds(5)
    public var downAfter = Duration.seconds(20)
    public var outAfter = Duration.seconds(900)
    /// Nodes that fell silent within so long of each other were lost together.
    public var massLossWindow = Duration.seconds(300)
    /// When more than this part of the nodes was lost together, and more than one, none of those is declared out.
    public var massLossPercent = 30
    /// Between two judgements no more than this passes; what does was the coordinator's own absence, not the nodes'.
    public var longestBeat = Duration.seconds(10)

    /// How long a node has to have answered without having been down before copies are moved to it, or dropped because of those
    /// on it.
    public var steadyAfter = Duration.seconds(300)
    /// How long the capacities that nodes say have to have been about the same before the weights of the map follow them.
    public var weightsSettleAfter = Duration.seconds(3600)
    /// The weights follow when any node's share of the groups changes by more than so much of itself.
    public var weightHysteresisPercent = 10
    /// A capacity that changes by no more than this is about the same.
    public var weightJitterPercent = 5

    public init() {}
}
