// SPDX-License-Identifier: Apache-2.0

import Catalog
import Telemetry

/// A part of `GET /api/v1/status`: what came of comparing the catalog with the storage nodes, as the coordinator does it on a
/// schedule.
public struct ComparisonReport: Codable, Sendable {
    public struct Counts: Codable, Sendable {
        /// Copies that are where the catalog says.
        public var present: Int
        /// Copies on nodes that were away, or not sure what they have.
        public var unasked: Int
        /// Copies that the catalog names and the node did not list; each is looked at again before anything is changed.
        public var missing: Int
        /// Copies on nodes of which the catalog does not say that they have one.
        public var uncounted: Int
        /// Records that no row names: stores under way, and what the ingest nodes adopt.
        public var orphans: Int
        /// Records of instances in the trash of which their node was not told yet.
        public var trashed: Int

        init(_ counts: ComparisonCounts) {
            self.present = counts.presentCount
            self.unasked = counts.unaskedCount
            self.missing = counts.missingCount
            self.uncounted = counts.uncountedCount
            self.orphans = counts.orphanCount
            self.trashed = counts.trashedCount
        }
    }

    /// An instance of which no good copy is known anywhere.
    public struct Lost: Codable, Sendable {
        public var record: String
        public var sopInstanceUID: String
        public var studyInstanceUID: String
        public var reason: String
    }

    /// Groups that the pass under way has compared, and how many there are.
    public var groups: Int
    public var allGroups: Int
    public var counts: Counts
    /// When the last complete pass began; RFC 3339, UTC; nil before the first.
    public var lastStartedAt: String?
    public var lastFinishedAt: String?
    public var last: Counts?
    /// Reports of missing copies that are still to be looked at.
    public var waiting: Int
    /// Copies that were missing, and are made again; and copies that were found and are counted again; since the cluster began.
    public var missed: Int
    public var found: Int
    /// Instances of which no good copy is known, and the first of them.
    public var lostInstances: Int
    public var lost: [Lost]

    init(_ overview: ComparisonOverview, groupCount: Int) {
        self.groups = overview.groupCount
        self.allGroups = groupCount
        self.counts = Counts(overview.counts)
        self.lastStartedAt = overview.lastStartedAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.lastFinishedAt = overview.lastFinishedAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.last = overview.lastFinishedAtMilliseconds.map { _ in Counts(overview.lastCounts) }
        self.waiting = overview.waitingCount
        self.missed = overview.uncountedTotal
        self.found = overview.recountedTotal
        self.lostInstances = overview.lostCount
        self.lost = overview.lost.map { instance in
            Lost(
                record: "\(instance.record)",
                sopInstanceUID: instance.sopInstanceUID,
                studyInstanceUID: instance.studyInstanceUID,
                reason: instance.note
            )
        }
    }
}
