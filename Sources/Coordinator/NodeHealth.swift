// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Judges one storage node by when it last answered (design section 6: suspect after 5 s, down after 20 s).
///
/// Pure: the coordinator hands in the times of answers and asks for the state. Never says `out`: taking a node out of
/// the map is a decision about copies, not about answers.
public struct NodeHealth: Sendable {
    /// Silence after which a node is suspect, and after which it is down, in milliseconds.
    public struct Limits: Sendable {
        public var suspectAfterMilliseconds: Int64 = 5_000
        public var downAfterMilliseconds: Int64 = 20_000

        public init() {}
    }

    private let limits: Limits
    private var lastAnswerMilliseconds: Int64?
    private let firstAskedMilliseconds: Int64

    /// Begins to watch a node that has not answered yet.
    public init(limits: Limits = Limits(), nowMilliseconds: Int64) {
        self.limits = limits
        self.firstAskedMilliseconds = nowMilliseconds
    }

    /// The node answered at `nowMilliseconds`.
    public mutating func answered(nowMilliseconds: Int64) {
        lastAnswerMilliseconds = nowMilliseconds
    }

    /// The node's state at `nowMilliseconds`.
    ///
    /// A clock that went backwards counts as no silence.
    public func state(nowMilliseconds: Int64) -> NodeState {
        let silence = nowMilliseconds - (lastAnswerMilliseconds ?? firstAskedMilliseconds)
        if silence >= limits.downAfterMilliseconds { return .down }
        if silence >= limits.suspectAfterMilliseconds || lastAnswerMilliseconds == nil { return .suspect }
        return .up
    }
}
