// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import Logging
import Placement
import ReplicationProtocol
import Telemetry

/// Answers the administration API: the cluster at a glance, and where every copy is.
struct AdminService: Sendable {
    let configuration: IngestConfiguration
    let version: String
    let catalog: Catalog
    let cluster: ClusterClient
    let comparison: CatalogComparison
    let verification: ArchiveVerification
    let trash: TrashService
    let lifecycle: LifecycleService
    let metrics: MetricsRegistry
    let logger: Logger

    /// Why stores cannot succeed now, or nil when they can.
    func reasonNotReady() -> String? {
        guard let map = cluster.map else { return "no placement map yet: is a coordinator running?" }
        let connected = cluster.connectedNodes
        let hosts = Set(map.members.filter { connected.contains($0.id) }.map(\.domain))
        guard hosts.count >= configuration.acknowledgements else {
            return "\(hosts.count) of \(configuration.acknowledgements) hosts needed are connected"
        }
        return nil
    }

    func status() async throws(CatalogError) -> StatusReport {
        let totals = try await catalog.totals(wantedCopies: configuration.copies)
        let lease = try await catalog.lease()
        let overview = try await catalog.repairOverview()
        var nodes: [StatusReport.Node] = []
        for record in try await catalog.nodeRecords() where record.service != .removed {
            nodes.append(await report(on: record.member))
        }
        return StatusReport(
            version: version,
            cluster: "\(configuration.cluster)",
            mapEpoch: cluster.mapEpoch.rawValue,
            coordinator: lease?.holder,
            copies: configuration.copies,
            acknowledgements: configuration.acknowledgements,
            codec: configuration.codec.rawValue,
            nodes: nodes,
            studies: totals.studyCount,
            series: totals.seriesCount,
            instances: totals.instanceCount,
            receivedBytes: Int64(totals.receivedByteCount),
            storedBytes: Int64(totals.storedByteCount),
            // Before a coordinator has looked, what the rows say, whoever of those nodes may live.
            underReplicated: overview.surveyedAtMilliseconds == nil
                ? totals.underReplicatedCount : overview.underReplicated.reduce(0) { $0 + $1.amount.instanceCount },
            repair: RepairReport(overview),
            watch: await watchInBrief(),
            comparison: await comparisonReport(),
            lifecycle: await lifecycleReport()
        )
    }

    /// Nil in a catalog that a coordinator of this version has not brought up to date yet.
    private func comparisonReport() async -> ComparisonReport? {
        do throws(CatalogError) {
            return ComparisonReport(try await catalog.comparisonOverview(), groupCount: PlacementGroup.count)
        } catch {
            return nil
        }
    }

    /// Nil while no rules are loaded, and in a catalog that was not brought up to date yet.
    private func lifecycleReport() async -> LifecycleStatusReport? {
        do throws(CatalogError) {
            let report = try await lifecycle.actsStatus()
            return report.version > 0 ? report : nil
        } catch {
            return nil
        }
    }

    func report(on member: StorageMember) async -> StatusReport.Node {
        var node = StatusReport.Node(
            name: member.name,
            id: "\(member.id)",
            address: "\(member.host):\(member.port)",
            domain: "\(member.domain.site)/\(member.domain.rack)/\(member.domain.host)",
            state: member.state.name,
            acceptsWrites: false,
            weight: Int(member.weight)
        )
        do throws(ReplicationError) {
            let status = try await cluster.status(of: member.id)
            node.acceptsWrites = status.acceptsWrites
            node.records = Int(clamping: status.recordCount)
            node.usedBytes = Int64(clamping: status.usedBytes)
            node.freeBytes = Int64(clamping: status.freeBytes)
            node.capacityBytes = status.capacity.map { Int64(clamping: $0.byteCount) }
            node.saysWeight = status.capacity.map { Int($0.weight) }
            node.reason = status.reason.isEmpty ? nil : status.reason
        } catch {
            if member.state == .up { node.state = "unreachable" }
            node.reason = "\(error)"
        }
        return node
    }

    func studies(limit: Int) async throws(CatalogError) -> [StudyReport] {
        try await catalog.studySummaries(limit: limit).map { StudyReport($0) }
    }

    /// The study and the state of each copy; nil when there is no such study.
    ///
    /// With `verify`, every copy is read whole and all its checksums are compared.
    func study(_ uid: String, verify: Bool) async throws(CatalogError) -> StudyDetailReport? {
        guard let details = try await catalog.study(uid) else { return nil }
        var instances: [StudyDetailReport.Instance] = []
        let cold = details.instances.filter(\.nodes.isEmpty).map(\.recordID)
        let packed = try await catalog.packed(among: cold)
        for row in details.instances {
            var instance = await report(on: row, verify: verify)
            if row.nodes.isEmpty { instance.isPacked = packed.contains(row.recordID) }
            instances.append(instance)
        }
        let codecs = try await catalog.seriesCodecs(ofStudy: uid).map { choice in
            StudyDetailReport.Codec(
                seriesInstanceUID: choice.seriesInstanceUID,
                scope: choice.scope,
                codec: choice.codec,
                trial: choice.note
            )
        }
        return StudyDetailReport(
            study: StudyReport(details.summary),
            codecs: codecs,
            wantedCopies: configuration.copies,
            verified: verify,
            instances: instances,
            packs: await packs(of: uid),
            moves: await moves(of: uid),
            recalls: await recalls(of: uid),
            policy: await lifecycle.policy(ofStudy: uid)
        )
    }

    private func report(on row: InstanceRow, verify: Bool) async -> StudyDetailReport.Instance {
        let copies = await withTaskGroup(of: (Int, StudyDetailReport.Copy).self) { tasks in
            // What is on a node that was removed is no copy.
            let nodes = row.nodes.filter { cluster.map?[$0] != nil || cluster.map == nil }
            for (index, node) in nodes.enumerated() {
                tasks.addTask { (index, await copy(of: row.recordID, on: node, verify: verify)) }
            }
            var copies: [(Int, StudyDetailReport.Copy)] = []
            for await copy in tasks { copies.append(copy) }
            return copies.sorted { $0.0 < $1.0 }.map(\.1)
        }
        return StudyDetailReport.Instance(
            sopInstanceUID: row.sopInstanceUID,
            seriesInstanceUID: row.seriesInstanceUID,
            sopClassUID: row.sopClassUID,
            recordID: "\(row.recordID)",
            receivedTransferSyntax: row.receivedTransferSyntax,
            storedTransferSyntax: row.storedTransferSyntax,
            receivedBytes: Int64(row.receivedByteCount),
            storedBytes: Int64(row.storedByteCount),
            copies: copies
        )
    }

    private func copy(of record: RecordID, on node: NodeID, verify: Bool) async -> StudyDetailReport.Copy {
        let name = cluster.map?[node]?.name ?? "\(node)"
        do throws(ReplicationError) {
            try await cluster.check(record, on: node, deep: verify)
            return StudyDetailReport.Copy(node: name, state: "good")
        } catch {
            let state: String
            switch error.code {
            case .notFound: state = "missing"
            case .checksumMismatch, .corrupt: state = "damaged"
            default: state = "unreachable"
            }
            return StudyDetailReport.Copy(node: name, state: state, reason: "\(error)")
        }
    }
}

extension StudyReport {
    init(_ summary: StudySummary) {
        self.init(
            studyInstanceUID: summary.studyInstanceUID,
            patientID: summary.patient.patientID,
            patientName: summary.patient.name,
            studyDate: summary.study.date,
            studyDescription: summary.study.description,
            modalities: summary.modalities,
            series: summary.seriesCount,
            instances: summary.instanceCount,
            receivedBytes: Int64(summary.receivedByteCount),
            storedBytes: Int64(summary.storedByteCount),
            receivedAt: Timestamp(milliseconds: summary.receivedAtMilliseconds).text
        )
    }
}
