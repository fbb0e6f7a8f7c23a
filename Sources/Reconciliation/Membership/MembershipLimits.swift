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

    public init() {}
}
