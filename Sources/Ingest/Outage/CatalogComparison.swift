// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import DICOM
import DICOMWeb
import Logging
import Placement
import SegmentFormat
import Telemetry

/// What a comparison of a placement group's records with the catalog found (`POST /api/v1/catalog/check`).
public struct CatalogCheckReport: Codable, Sendable {
    /// Something that is not as it should be.
    public struct Finding: Codable, Sendable {
        public enum Kind: String, Codable, Sendable {
            /// A row of the catalog whose record no node has.
            case missing
            /// A row whose record was not found, while a node that may have it did not answer.
            case unconfirmed
            /// A record that no row names, and that was not entered: the reason says why.
            case orphan
            /// A record whose metadata or payload cannot be read from any node.
            case unreadable
        }

        public var kind: Kind
        public var record: String
        /// Empty when it could not be found out.
        public var sopInstanceUID: String
        public var studyInstanceUID: String
        public var reason: String
    }

    public var group: Int
    /// Records that the nodes hold, and rows of the catalog.
    public var records = 0
    public var rows = 0
    /// Records that were entered into the catalog.
    public var adopted = 0
    /// Records too young to be judged: their store may be under way.
    public var young = 0
    /// Records of instances in the trash of which a node was not told yet.
    public var trashed: Int?
    /// The first findings; `findingCount` has their number.
    public var findings: [Finding] = []
    public var findingCount = 0
    /// Storage nodes that did not answer.
    public var silentNodes: [String] = []

    static let maximumFindingCount = 1000

    init(group: Int) {
        self.group = group
    }

    mutating func add(
        _ kind: Finding.Kind,
        _ record: RecordID,
        instance: String = "",
        study: String = "",
        _ why: String
    ) {
        findingCount += 1
        guard findings.count < Self.maximumFindingCount else { return }
        findings.append(
            Finding(kind: kind, record: "\(record)", sopInstanceUID: instance, studyInstanceUID: study, reason: why)
        )
    }
}

/// Compares the records that the nodes hold with those that the catalog names, one placement group at a time, and enters
/// what it does not know.
///
/// That is how images come back of which only the nodes know: an ingest node was lost between a record and its row, or
/// with the journal of an outage. Nothing is ever removed.
struct CatalogComparison: Sendable {
    /// Records in this many seconds after their reception may belong to a store that is under way.
    static let graceSeconds: Int64 = 600
    private static let pageCount = 4096

    let catalog: Catalog
    let cluster: ClusterClient
    let directory: RecordDirectory
    /// Reads whole instances, to prove what is adopted.
    let retrieve: RetrieveService
    let logger: Logger

    /// - Throws: ``RetrieveFailure`` when the catalog or too many nodes do not answer.
    func compare(
        _ group: PlacementGroup,
        adopts: Bool,
        graceSeconds: Int64 = Self.graceSeconds
    ) async throws(RetrieveFailure) -> CatalogCheckReport {
        var report = CatalogCheckReport(group: Int(group.rawValue))
        let start = UInt64(group.rawValue) << 48
        guard let first = RecordID(high: start, low: 0), let last = RecordID(high: start | ~0 >> 16, low: .max) else {
            return report
        }
        var after: RecordID?
        repeat {
            let page = try await page(of: group, after: after)
            // The rows are asked for after the records, so a store in between shows as a row without a record: each such
            // row is looked at once more. The other way round its age tells.
            let lower = after ?? first
            let rows = try await rows(in: lower...(page.next ?? last), after: after)
            report.silentNodes = page.silentNodes.map(\.name)
            report.records += page.records.count
            report.rows += rows.count
            let known = Set(rows)
            let oldest = Timestamp.now().milliseconds - graceSeconds * 1000
            for record in page.records where !known.contains(record) {
                await judge(record, page.holders[record] ?? [], adopts: adopts, oldest: oldest, &report)
            }
            for row in rows where page.holders[row] == nil {
                try await examine(missing: row, isCertain: page.silentNodes.isEmpty, &report)
            }
            after = page.next
        } while after != nil
        return report
    }

    private func page(of group: PlacementGroup, after: RecordID?) async throws(RetrieveFailure) -> RecordListing {
        do throws(ClusterError) {
            return try await cluster.page(of: group, after: after, upTo: nil, limit: Self.pageCount)
        } catch {
            throw RetrieveFailure(.unavailable, error.message)
        }
    }

    private func rows(in range: ClosedRange<RecordID>, after: RecordID?) async throws(RetrieveFailure) -> [RecordID] {
        var rows: [RecordID] = []
        var lower = range.lowerBound
        do throws(CatalogError) {
            while true {
                let page = try await catalog.records(in: lower...range.upperBound, limit: Self.pageCount)
                // The lower bound has been seen, but for the very first of a group.
                rows += page.filter { $0 != after && $0 != rows.last }
                guard page.count == Self.pageCount, let last = page.last, last != lower else { return rows }
                lower = last
            }
        } catch {
            throw RetrieveFailure(.unavailable, "the catalog does not answer: \(error)")
        }
    }

    /// Enters a record that no row names, if it may be, and says why not.
    func judge(
        _ id: RecordID,
        _ nodes: [NodeID],
        adopts: Bool,
        oldest: Int64,
        _ report: inout CatalogCheckReport
    ) async {
        let record: InstanceRecord
        do throws(RetrieveFailure) {
            if try await isInTrash(id) {
                report.trashed = (report.trashed ?? 0) + 1
                return
            }
            record = try await directory.describe(id, nodes: nodes)
        } catch {
            return report.add(.unreadable, id, error.reason)
        }
        let (instance, study) = (record.metadata.sopInstanceUID, record.metadata.studyInstanceUID)
        guard record.metadata.receivedAtMilliseconds < oldest else {
            report.young += 1
            return
        }
        do throws(RetrieveFailure) {
            if let row = try await row(of: instance) {
                let isSame = row.contentDigest == record.metadata.receivedDigest
                return report.add(
                    .orphan,
                    id,
                    instance: instance,
                    study: study,
                    isSame ? "the catalog has the same instance as record \(row.recordID)" : "other content is entered"
                )
            }
            guard adopts else {
                return report.add(.orphan, id, instance: instance, study: study, "not in the catalog")
            }
            try await prove(record)
            let entry = try await directory.entry(of: record)
            switch try await enter(entry) {
            case .committed: report.adopted += 1
            case .deleted:
                let reason = "the instance is in the trash as another record"
                return report.add(.orphan, id, instance: instance, study: study, reason)
            case .duplicate, .conflict:
                return report.add(.orphan, id, instance: instance, study: study, "entered otherwise meanwhile")
            }
            logger.notice(
                "a record that the catalog did not know was entered",
                metadata: ["record": "\(id)"]
            )
            logger.debug("it is this instance", metadata: ["record": "\(id)", "instance": "\(instance)"])
        } catch {
            report.add(
                error.kind == .damaged ? .unreadable : .orphan,
                id,
                instance: instance,
                study: study,
                error.reason
            )
        }
    }

    /// Reads the instance whole: what was written before its proof had ended must not become the archive's only form.
    private func prove(_ record: InstanceRecord) async throws(RetrieveFailure) {
        let instance = record.storedInstance
        let syntax =
            instance.isCompressedHere ? TransferSyntax.explicitVRLittleEndian.uid.string : instance.storedTransferSyntax
        let prepared = try await retrieve.prepare(instance, choice: .converted(syntax), allowsStored: false)
        do {
            try await prepared.send { _ in }
        } catch {
            throw (error as? RetrieveFailure) ?? RetrieveFailure(.unavailable, "\(error)")
        }
    }

    private func row(of sopInstanceUID: String) async throws(RetrieveFailure) -> InstanceRow? {
        do throws(CatalogError) {
            return try await catalog.instance(sopInstanceUID: sopInstanceUID)
        } catch {
            throw RetrieveFailure(.unavailable, "the catalog does not answer: \(error)")
        }
    }

    private func isInTrash(_ record: RecordID) async throws(RetrieveFailure) -> Bool {
        do throws(CatalogError) {
            return try await catalog.isInTrash(record: record)
        } catch {
            throw RetrieveFailure(.unavailable, "the catalog does not answer: \(error)")
        }
    }

    private func enter(_ entry: InstanceEntry) async throws(RetrieveFailure) -> CommitOutcome {
        do throws(CatalogError) {
            return try await catalog.commit(entry)
        } catch {
            throw RetrieveFailure(.unavailable, "the catalog did not commit it: \(error)")
        }
    }

    private func examine(
        missing id: RecordID,
        isCertain: Bool,
        _ report: inout CatalogCheckReport
    ) async throws(RetrieveFailure) {
        let row: InstanceRow?
        do throws(CatalogError) {
            row = try await catalog.instance(record: id)
            // What is in cold packs only is on no node.
            if let row, row.nodes.isEmpty, try await catalog.packed(among: [id]).contains(id) { return }
        } catch {
            throw RetrieveFailure(.unavailable, "the catalog does not answer: \(error)")
        }
        // Gone meanwhile, or stored meanwhile.
        guard let row else { return }
        do throws(RetrieveFailure) {
            _ = try await directory.describe(id, nodes: row.nodes)
            return
        } catch {
            report.add(
                isCertain ? .missing : .unconfirmed,
                id,
                instance: row.sopInstanceUID,
                study: row.studyInstanceUID,
                error.reason
            )
        }
    }
}
