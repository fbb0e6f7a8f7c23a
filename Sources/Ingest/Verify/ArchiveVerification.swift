// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import Logging
import Placement
import ReplicationProtocol
import Telemetry

/// Proves the archive, a page of records at a time: every copy that the catalog names is on its node, every record on a node
/// is in the catalog, and, where it is to be deep, every copy reads as it was written.
///
/// Changes nothing. What it finds, others mend: healing, `varve catalog check --adopt`, and for copies that are missing the
/// coordinator, which it tells of them.
struct ArchiveVerification: Sendable {
    /// Rows of a page.
    static let pageCount = 256
    /// Bytes of the copies of a page that is read, about.
    private static let readByteCount = 4 << 30
    /// Copies that are read at once.
    private static let readsAtOnce = 16
    /// The patience for the reading of a copy, which others go before.
    private static let readSeconds: Int64 = 600

    let catalog: Catalog
    let cluster: ClusterClient
    /// Judges records that no row names.
    let comparison: CatalogComparison
    /// Copies that an instance should have.
    let wantedCopies: Int

    /// - Throws: ``RetrieveFailure`` when the catalog or too many nodes do not answer.
    func page(
        of group: PlacementGroup,
        after: RecordID?,
        isDeep: Bool,
        graceSeconds: Int64
    ) async throws(RetrieveFailure) -> VerificationReport {
        var report = VerificationReport(group: Int(group.rawValue))
        let start = UInt64(group.rawValue) << 48
        guard let first = RecordID(high: start, low: 0), let last = RecordID(high: start | ~0 >> 16, low: .max),
            after.map({ $0.group == group }) ?? true
        else { throw RetrieveFailure(.notFound, "no record of group \(group) is named so") }
        let lower = after ?? first
        // The rows first: a store in between shows as a record without a row, whose age tells.
        let found = try await rows(in: lower...last, after: after)
        let rows = isDeep ? Self.beginning(of: found) : found
        let isLast = found.count < Self.pageCount && rows.count == found.count
        let end = isLast ? last : rows.last?.recordID ?? last
        let listing = try await listing(lower...end)
        report.next = isLast ? nil : "\(end)"
        report.instances = rows.count
        report.silentNodes = listing.silentNodes.map(\.name)
        var missing: [Copy] = []
        try await judge(rows, listing, isDeep: isDeep, &report, &missing)
        await tellCoordinator(missing)
        let known = Set(rows.map(\.recordID))
        try await judgeOrphans(
            listing.records.filter { $0 != after && !known.contains($0) },
            listing,
            graceSeconds: graceSeconds,
            &report
        )
        return report
    }

    /// As many of the rows as are read within the time that a client waits for an answer, and one at least.
    private static func beginning(of rows: [InstanceRow]) -> [InstanceRow] {
        var byteCount = 0
        let end = rows.firstIndex { row in
            byteCount += row.storedByteCount * row.nodes.count
            return byteCount > readByteCount
        }
        return Array(rows.prefix(max(1, end ?? rows.count)))
    }

    // MARK: What the catalog names

    private struct Copy: Sendable {
        let row: InstanceRow
        let node: NodeID
    }

    private func judge(
        _ rows: [InstanceRow],
        _ listing: RecordListing,
        isDeep: Bool,
        _ report: inout VerificationReport,
        _ missing: inout [Copy]
    ) async throws(RetrieveFailure) {
        let map = cluster.map
        let silent = Set(listing.silentNodes.map(\.name))
        let packed = try await packed(rows.filter(\.nodes.isEmpty))
        report.packed = packed.count
        var present: [Copy] = []
        for row in rows {
            let holders = listing.holders[row.recordID] ?? []
            if row.nodes.isEmpty {
                report.uncounted += holders.count
                if !packed.contains(row.recordID) {
                    let reason = "it is in cold packs only, and none was sound when it was read last"
                    report.add(.lostInstance, row, "", reason)
                }
                continue
            }
            // What is on a node that was removed is no copy.
            let nodes = row.nodes.filter { map == nil || map?[$0] != nil }
            report.uncounted += holders.count { !nodes.contains($0) }
            for node in nodes {
                if holders.contains(node) {
                    present.append(Copy(row: row, node: node))
                } else if let name = map?[node]?.name, !silent.contains(name) {
                    guard try await isNamedStill(row, node) else { continue }
                    report.add(.missingCopy, row, name, "the node does not have it")
                    missing.append(Copy(row: row, node: node))
                } else {
                    report.add(.unreachableCopy, row, map?[node]?.name ?? "\(node)", "the node does not answer")
                }
            }
            let hosts = Set(nodes.map { map?[$0]?.domain.host ?? "\($0)" }).count
            if hosts < wantedCopies {
                report.add(.tooFewCopies, row, "", "it is on \(hosts) of \(wantedCopies) hosts")
            }
        }
        guard isDeep else {
            report.goodCopies += present.count
            return
        }
        let problems: [ReplicationError?]
        do {
            problems = try await OrderedPrefetch.map(present, window: Self.readsAtOnce) { await problem(with: $0) }
        } catch {
            throw RetrieveFailure(.unavailable, "the verification was given up")
        }
        for (copy, problem) in zip(present, problems) {
            guard let problem else {
                report.goodCopies += 1
                report.readBytes += Int64(copy.row.storedByteCount)
                continue
            }
            guard try await isNamedStill(copy.row, copy.node) else { continue }
            let kind = Self.kind(of: problem)
            if kind == .missingCopy { missing.append(copy) }
            report.add(
                kind,
                copy.row,
                map?[copy.node]?.name ?? "\(copy.node)",
                "\(problem)"
            )
        }
    }

    /// Those that are in packs which were sound when all of them was read last.
    private func packed(_ rows: [InstanceRow]) async throws(RetrieveFailure) -> Set<RecordID> {
        do throws(CatalogError) {
            return try await catalog.packed(among: rows.map(\.recordID))
        } catch {
            throw RetrieveFailure(.unavailable, "the catalog does not answer: \(error)")
        }
    }

    /// Has the coordinator look at copies that are missing, which changes something only when it finds them missing, too.
    private func tellCoordinator(_ missing: [Copy]) async {
        do throws(CatalogError) {
            try await catalog.reportMissing(missing.map { ($0.row.recordID, $0.node) })
        } catch {
            // They are in the report; the next comparison finds them again.
            comparison.logger.warning("missing copies could not be reported", metadata: ["reason": "\(error)"])
        }
    }

    private static func kind(of problem: ReplicationError) -> VerificationReport.Finding.Kind {
        switch problem.code {
        case .notFound: .missingCopy
        case .checksumMismatch, .corrupt: .damagedCopy
        default: .unreachableCopy
        }
    }

    private func problem(with copy: Copy) async -> ReplicationError? {
        do throws(ReplicationError) {
            let timeout = Self.readSeconds
            try await cluster.check(copy.row.recordID, on: copy.node, deep: true, priority: .scrub, seconds: timeout)
            return nil
        } catch {
            return error
        }
    }

    /// Whether the catalog says still what it said: copies move, and instances are deleted, meanwhile.
    private func isNamedStill(_ row: InstanceRow, _ node: NodeID) async throws(RetrieveFailure) -> Bool {
        do throws(CatalogError) {
            return try await catalog.instance(record: row.recordID)?.nodes.contains(node) ?? false
        } catch {
            throw RetrieveFailure(.unavailable, "the catalog does not answer: \(error)")
        }
    }

    // MARK: What the nodes have

    private func judgeOrphans(
        _ records: [RecordID],
        _ listing: RecordListing,
        graceSeconds: Int64,
        _ report: inout VerificationReport
    ) async throws(RetrieveFailure) {
        var check = CatalogCheckReport(group: report.group)
        let oldest = Timestamp.now().milliseconds - graceSeconds * 1000
        for record in records {
            await comparison.judge(record, listing.holders[record] ?? [], adopts: false, oldest: oldest, &check)
        }
        report.young += check.young
        report.trashed += check.trashed ?? 0
        report.findings += check.findings.map { finding in
            VerificationReport.Finding(
                finding.kind == .unreadable ? .unreadable : .orphan,
                record: finding.record,
                sopInstanceUID: finding.sopInstanceUID,
                studyInstanceUID: finding.studyInstanceUID,
                finding.reason
            )
        }
    }

    // MARK: Reading

    private func rows(in range: ClosedRange<RecordID>, after: RecordID?) async throws(RetrieveFailure) -> [InstanceRow]
    {
        do throws(CatalogError) {
            // The lower bound has been seen, but for the very first of a group.
            let rows = try await catalog.instances(in: range, limit: Self.pageCount + 1)
            return Array(rows.filter { $0.recordID != after }.prefix(Self.pageCount))
        } catch {
            throw RetrieveFailure(.unavailable, "the catalog does not answer: \(error)")
        }
    }

    private func listing(_ range: ClosedRange<RecordID>) async throws(RetrieveFailure) -> RecordListing {
        do throws(ClusterError) {
            return try await cluster.records(in: range)
        } catch {
            throw RetrieveFailure(.unavailable, error.message)
        }
    }
}

extension VerificationReport {
    fileprivate mutating func add(_ kind: Finding.Kind, _ row: InstanceRow, _ node: String, _ reason: String) {
        findings.append(
            Finding(
                kind,
                record: "\(row.recordID)",
                node: node,
                sopInstanceUID: row.sopInstanceUID,
                studyInstanceUID: row.studyInstanceUID,
                reason
            )
        )
    }
}
