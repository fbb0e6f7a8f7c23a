// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Counts what a node is asked for by those whose answer somebody waits for: by that repair is throttled.
///
/// May be used from any thread.
public final class ForegroundMeter: Sendable {
    private let count = Atomic<UInt64>(0)

    public init() {}

    /// Requests with the priority `foreground` since the start.
    public var requestCount: UInt64 { count.load(ordering: .relaxed) }

    func note() { count.wrappingAdd(1, ordering: .relaxed) }
}
