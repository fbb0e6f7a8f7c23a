// SPDX-License-Identifier: Apache-2.0

public import Reconciliation

/// How much is copied at once, how fast, and how long what fails is left alone.
public struct RepairLimits: Hashable, Sendable {
    /// Copies that a node gives at once, and takes at once, while it serves nobody; a quarter of them while it does.
    public var streamsPerNode = 8
    /// Bytes a second that a node takes while it, or the node that gives, serves somebody; 0 is without limit.
    ///
    /// While neither does, copies are made as fast as they can.
    public var bytesPerSecond: Int64 = 50_000_000
    /// What cannot be done now because something is away is looked at again after this.
    public var passingPause = Duration.seconds(10)
    public var backOff = RepairBackOff()
    /// How often all sets of copies are compared with what is wanted, when nothing happens.
    public var surveyInterval = Duration.seconds(60)
    /// Whether copies beyond those wanted are dropped, once all that are wanted have been read.
    public var dropsSurplus = true

    public init() {}
}
