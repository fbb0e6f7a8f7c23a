// SPDX-License-Identifier: Apache-2.0

import Catalog
import Telemetry

/// What `GET /api/v1/repair` answers, and a part of `GET /api/v1/status`: copies that are lacking or on their way.
public struct RepairReport: Codable, Sendable {
    /// Instances and the bytes of one copy of each.
    public struct Amount: Codable, Sendable {
        public var instances: Int
        public var bytes: Int64
        /// Parts of it have not been counted yet.
        public var isCounting: Bool
    }

    /// Instances of which fewer copies than wanted can be read now.
    public struct UnderReplicated: Codable, Sendable {
        public var copiesLeft: Int
        public var amount: Amount
    }

    /// Copies that cannot be made now.
    public struct Waiting: Codable, Sendable {
        /// `noSource`, `targetAway`, `noTarget` or `targetUnsteady`.
        public var reason: String
        public var amount: Amount
    }

    /// Items of the queue that are alike.
    public struct Queued: Codable, Sendable {
        /// `repair`, `drain` or `rebalance`; `surplus`: a copy that is being dropped.
        public var kind: String
        /// `waiting`, `running` or `stuck`.
        public var state: String
        public var items: Int
    }

    /// RFC 3339, UTC; nil before a coordinator has looked for the first time.
    public var surveyedAt: String?
    /// Copies that the coordinator wants of an instance.
    public var copies: Int
    /// What operators have to know: much of the cluster is missing.
    public var alarm: String?
    public var underReplicated: [UnderReplicated]
    /// Copies that are to be made.
    public var remaining: Amount
    public var waiting: [Waiting]
    /// Copies beyond those wanted, which take room until they are dropped.
    public var surplus: Amount
    public var queue: [Queued]
    /// Copies made since the cluster began, and their bytes.
    public var madeCopies: Int
    public var madeBytes: Int64
    /// Surplus copies dropped since the cluster began, and their bytes.
    public var droppedCopies: Int
    public var droppedBytes: Int64
    /// Over the last minute; nil when nothing has been written down lately.
    public var bytesPerSecond: Double?
    public var copiesPerSecond: Double?
    /// When it will be done if it goes on like this, in seconds from now.
    public var expectedSeconds: Double?
}

extension RepairReport {
    init(_ overview: RepairOverview) {
        let remaining = overview.remaining()
        let names = ["noSource", "targetAway", "noTarget", "targetUnsteady"]
        let held = (1...4).reduce(RepairAmount()) { $0 + overview.waiting(obstacle: $1) }
        self.init(
            surveyedAt: overview.surveyedAtMilliseconds.map { Timestamp(milliseconds: $0).text },
            copies: overview.copies,
            alarm: overview.alarm.isEmpty ? nil : overview.alarm,
            underReplicated: overview.underReplicated.map {
                UnderReplicated(copiesLeft: $0.livingCount, amount: Amount($0.amount))
            },
            remaining: Amount(remaining),
            waiting: names.enumerated().compactMap { index, name in
                let amount = overview.waiting(obstacle: index + 1)
                guard amount.instanceCount > 0 || amount.uncountedCount > 0 else { return nil }
                return Waiting(reason: name, amount: Amount(amount))
            },
            surplus: Amount(overview.surplus),
            queue: overview.queue.map {
                Queued(kind: Self.kindName($0.kind), state: Self.stateName($0.state), items: $0.count)
            },
            madeCopies: overview.madeCount,
            madeBytes: overview.madeByteCount,
            droppedCopies: overview.droppedCount,
            droppedBytes: overview.droppedByteCount,
            bytesPerSecond: overview.rate?.bytes,
            copiesPerSecond: overview.rate?.items,
            expectedSeconds: Self.expectedSeconds(
                bytes: remaining.byteCount - held.byteCount,
                instances: remaining.instanceCount - held.instanceCount,
                rate: overview.rate
            )
        )
    }

    /// By the bytes, or by the copies where those are small; nil when nothing moves.
    static func expectedSeconds(
        bytes: Int64,
        instances: Int,
        rate: (items: Double, bytes: Double)?
    ) -> Double? {
        guard let rate, instances > 0, rate.items > 0, rate.bytes > 0 else { return nil }
        return max(Double(bytes) / rate.bytes, Double(instances) / rate.items)
    }

    static func kindName(_ kind: Int) -> String {
        switch kind {
        case 1: "repair"
        case 2: "drain"
        case 3: "rebalance"
        default: "surplus"
        }
    }

    static func stateName(_ state: Int) -> String {
        switch state {
        case 1: "waiting"
        case 2: "running"
        default: "stuck"
        }
    }
}

extension RepairReport.Amount {
    init(_ amount: RepairAmount) {
        self.init(
            instances: amount.instanceCount,
            bytes: amount.byteCount,
            isCounting: amount.uncountedCount > 0
        )
    }
}

/// One row of `GET /api/v1/repair/stuck`: a copy that could not be made, or dropped, and is not tried again.
public struct StuckRepairReport: Codable, Sendable {
    public var recordID: String
    public var studyInstanceUID: String
    public var sopInstanceUID: String
    public var attempts: Int
    public var reason: String

    init(_ repair: StuckRepair) {
        self.recordID = "\(repair.record)"
        self.studyInstanceUID = repair.studyInstanceUID
        self.sopInstanceUID = repair.sopInstanceUID
        self.attempts = repair.attemptCount
        self.reason = repair.note
    }
}
