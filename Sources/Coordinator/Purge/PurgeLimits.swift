// SPDX-License-Identifier: Apache-2.0

package import ReplicationProtocol

/// When what storage nodes have in their trash is destroyed.
public struct PurgeLimits: Hashable, Sendable {
    /// How long a segment is in the trash at least; nodes have a time of their own besides.
    public var grace = Duration.seconds(7 * 86_400)
    /// Between two rounds; nil: nothing is ever destroyed.
    public var period: Duration? = .seconds(3_600)

    public init() {}

    /// Whether a node is well enough: one with damage, or one that doesn't know what it has, may need what is in its trash.
    package static func mayDestroy(_ status: NodeStatusReport) -> Bool {
        !status.isUncertain && (status.scrub?.quarantinedCount ?? 0) == 0
    }
}
