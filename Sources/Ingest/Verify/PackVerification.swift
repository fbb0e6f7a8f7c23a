// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement

/// Has the packs read whole that have instances which are counted on no node, and says what came of it.
///
/// Storage nodes read them, ordered by the coordinator in office; the catalog has what is wanted and what was found.
struct PackVerification: Sendable {
    /// Packs of one answer: each names all its instances.
    private static let pageCount = 4

    let catalog: Catalog

    /// Has the packs of `group` and of those after it read.
    func begin(from group: PlacementGroup) async throws(CatalogError) -> PackVerificationReport {
        let wanted = try await catalog.wantPackReadings(from: group)
        var report = PackVerificationReport(since: wanted.since)
        report.packs = wanted.packCount
        report.waiting = wanted.packCount
        return report
    }

    /// How far that is.
    func progress(since: Int64, from group: PlacementGroup) async throws(CatalogError) -> PackVerificationReport {
        let readings = try await catalog.packReadings(since: since, from: group)
        var report = PackVerificationReport(since: since)
        report.packs = readings.openCount + readings.soundCount + readings.failedCount
        report.waiting = readings.openCount
        report.goodPacks = readings.soundCount
        report.instances = readings.instanceCount
        report.readBytes = readings.byteCount
        report.isLed = try await catalog.lease().map { $0.remaining > .zero } ?? false
        return report
    }

    /// What is wrong, a few packs at a time.
    func findings(
        since: Int64,
        from group: PlacementGroup,
        after: NodeID?
    ) async throws(CatalogError) -> PackVerificationReport {
        let failed = try await catalog.failedPackReadings(
            since: since,
            from: group,
            after: after,
            limit: Self.pageCount
        )
        var report = PackVerificationReport(since: since)
        report.next = failed.count == Self.pageCount ? failed.last.map { "\($0.pack)" } : nil
        for pack in failed {
            let kind: VerificationReport.Finding.Kind =
                pack.isDamaged ? .damagedPack : pack.isOffline ? .offlinePack : .unreachablePack
            let reason = "pack \(pack.pack) of tier \(pack.tier): \(pack.reason)"
            // Deleted or recalled since: then it is the pack alone that is not as it should be.
            if pack.instances.isEmpty {
                report.findings.append(
                    .init(kind, record: "", sopInstanceUID: "", studyInstanceUID: pack.studyInstanceUID, reason)
                )
            }
            for (record, uid) in pack.instances {
                report.findings.append(
                    .init(
                        kind,
                        record: "\(record)",
                        sopInstanceUID: uid,
                        studyInstanceUID: pack.studyInstanceUID,
                        reason
                    )
                )
            }
        }
        return report
    }
}

/// What came of reading packs (`/api/v1/verify/packs`).
public struct PackVerificationReport: Codable, Sendable, Equatable {
    /// When they were wanted, in microseconds since 1970 by the database's clock: what else is asked for names it.
    public var since: Int64
    /// Packs that were to be read, those among them that have not been yet, and those that are sound.
    public var packs = 0
    public var waiting = 0
    public var goodPacks = 0
    /// Of those that are sound.
    public var instances = 0
    public var readBytes: Int64 = 0
    /// Whether a coordinator is in office, who has them read.
    public var isLed = true
    public var findings: [VerificationReport.Finding] = []
    /// The pack behind which the next page of findings begins; nil at their end.
    public var next: String?

    init(since: Int64) {
        self.since = since
    }
}
