// SPDX-License-Identifier: Apache-2.0

import Catalog
import Telemetry

/// What `GET /api/v1/watch` answers, and a part of `GET /api/v1/status`: accepted instances that are fetched again.
public struct WatchReport: Codable, Sendable {
    /// One that does not come back as it was accepted.
    public struct Alarm: Codable, Sendable {
        public var studyInstanceUID: String
        public var sopInstanceUID: String
        public var recordID: String
        /// `different`, `missing`, `unreadable` or `unreachable`, and why.
        public var result: String
        public var reason: String
        /// RFC 3339, UTC: when it was accepted, and since when it fails.
        public var acceptedAt: String
        public var since: String
        /// Times it was fetched since then.
        public var attempts: Int
    }

    /// Whether this ingest node takes samples and fetches them.
    public var isOn: Bool
    /// Samples of the whole cluster.
    public var samples: Int
    /// For how long the oldest has been due, in seconds.
    public var overdueSeconds: Int
    public var alarmCount: Int
    /// The first of them.
    public var alarms: [Alarm]
}

/// What `POST /api/v1/watch/acknowledge` is told: that a person knows of alarms.
public struct WatchAcknowledgement: Codable, Sendable {
    /// Of this study; nil: all there are.
    public var study: String?
    public var reason: String

    public init(study: String?, reason: String) {
        self.study = study
        self.reason = reason
    }
}

extension AdminService {
    /// With the first `limit` alarms.
    func watchReport(limit: Int) async throws(CatalogError) -> WatchReport {
        let overview = try await catalog.watchOverview()
        let alarms = overview.alarmCount > 0 ? try await catalog.watchAlarms(limit: limit) : []
        return WatchReport(
            isOn: configuration.watch.sampleOneOf > 0,
            samples: overview.sampleCount,
            overdueSeconds: overview.overdueSeconds,
            alarmCount: overview.alarmCount,
            alarms: alarms.map { WatchReport.Alarm($0) }
        )
    }

    /// For `status`, which says what else there is where this cannot be read: in a catalog of a version before.
    func watchInBrief() async -> WatchReport? {
        do throws(CatalogError) {
            return try await watchReport(limit: 1)
        } catch {
            return nil
        }
    }
}

extension WatchReport.Alarm {
    init(_ alarm: WatchAlarm) {
        self.init(
            studyInstanceUID: alarm.studyInstanceUID,
            sopInstanceUID: alarm.sopInstanceUID,
            recordID: "\(alarm.recordID)",
            result: alarm.failure,
            reason: alarm.note,
            acceptedAt: Timestamp(milliseconds: alarm.acceptedAtMilliseconds).text,
            since: Timestamp(milliseconds: alarm.failingSinceMilliseconds).text,
            attempts: alarm.failureCount
        )
    }
}
