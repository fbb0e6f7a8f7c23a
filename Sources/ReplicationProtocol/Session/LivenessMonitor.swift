// SPDX-License-Identifier: Apache-2.0

/// Decides when a silent peer is asked for a sign of life, and when it is given up.
///
/// Pure; times are nanoseconds of any steady clock, handed in. Every byte from the peer is a sign of life. Silence is
/// counted tick by tick, and a tick that comes late counts for little: when our own process was stopped for a while, the
/// peer's bytes wait to be read, and it is not to be blamed.
public struct LivenessMonitor: Hashable, Sendable {
    public enum Action: Hashable, Sendable {
        case wait
        /// Send PING with this token.
        case ping(token: UInt64)
        /// Nothing was heard for too long: close.
        case giveUp
    }

    private let pingAfterNanoseconds: Int64
    private let giveUpAfterNanoseconds: Int64
    /// The most that one tick may add to the silence.
    private let longestStep: Int64
    private var hasHeard = true
    private var lastTick: Int64
    private var silence: Int64 = 0
    private var sincePing: Int64 = 0
    private var nextToken: UInt64 = 1

    /// Watches from `now` on: pings after `pingAfterNanoseconds` of silence, gives up after `giveUpAfterNanoseconds`.
    ///
    /// Ticks should come at least twice in the shorter of `pingAfterNanoseconds` and a quarter of
    /// `giveUpAfterNanoseconds`.
    public init(pingAfterNanoseconds: Int64, giveUpAfterNanoseconds: Int64, now: Int64) {
        self.pingAfterNanoseconds = pingAfterNanoseconds
        self.giveUpAfterNanoseconds = giveUpAfterNanoseconds
        self.longestStep = max(1, min(pingAfterNanoseconds, giveUpAfterNanoseconds / 4))
        self.lastTick = now
    }

    /// Bytes arrived from the peer.
    public mutating func heard() {
        hasHeard = true
    }

    /// Time has passed.
    public mutating func tick(now: Int64) -> Action {
        let step = min(now - lastTick, longestStep)
        lastTick = now
        if hasHeard {
            hasHeard = false
            silence = 0
            sincePing = 0
            return .wait
        }
        silence += step
        sincePing += step
        if silence >= giveUpAfterNanoseconds { return .giveUp }
        guard sincePing >= pingAfterNanoseconds else { return .wait }
        sincePing = 0
        defer { nextToken += 1 }
        return .ping(token: nextToken)
    }
}

/// The pauses between attempts to reach a peer: doubled each time up to a maximum, each spread over half its length.
public struct ReconnectBackoff: Hashable, Sendable {
    private let initialMilliseconds: Int64
    private let maximumMilliseconds: Int64
    private var next: Int64

    public init(initialMilliseconds: Int64, maximumMilliseconds: Int64) {
        precondition(initialMilliseconds > 0 && maximumMilliseconds >= initialMilliseconds, "a pause is positive")
        self.initialMilliseconds = initialMilliseconds
        self.maximumMilliseconds = maximumMilliseconds
        self.next = initialMilliseconds
    }

    /// The pause before the next attempt; `random` decides where in the upper half of its length it lies.
    public mutating func nextPause(random: UInt64) -> Int64 {
        let pause = next
        next = min(next * 2, maximumMilliseconds)
        let half = pause / 2
        return pause - half + Int64(random % UInt64(half + 1))
    }

    /// The peer was reached.
    public mutating func reset() {
        next = initialMilliseconds
    }
}
