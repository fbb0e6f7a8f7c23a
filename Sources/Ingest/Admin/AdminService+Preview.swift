// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import Placement
import Reconciliation
import Repair
import ReplicationProtocol

/// What an order would do, said before it is given.
extension AdminService {
    /// What an order about a node would do if it were given now; nothing is changed.
    func preview(_ kind: NodeOrder.Kind, of record: NodeRecord) async throws(CatalogError) -> PreviewReport {
        let records = try await catalog.nodeRecords()
        let overview = try await catalog.repairOverview()
        let statuses = await statuses(of: records)
        // Before the first survey it is not known what the coordinator wants.
        let copies = overview.copies > 0 ? overview.copies : configuration.copies
        let preview = OrderPreview(
            catalog: catalog,
            map: try await catalog.placementMap(),
            conditions: records.filter { $0.service != .removed }.map { record in
                NodeCondition(record, acceptsWrites: statuses[record.member.id]?.acceptsWrites)
            },
            copies: copies
        )
        let found = try await preview.run(kind, of: record.member.id, service: record.service)
        let forecast = found.forecast
        let moved = forecast.moved
        let rate = overview.rate.flatMap { $0.items > 0 && $0.bytes > 0 ? $0 : nil }
        return PreviewReport(
            order: "\(kind)",
            refusal: found.refusal,
            groups: forecast.movedGroupCount,
            moves: PreviewReport.Amount(moved),
            isEstimate: forecast.isEstimate,
            countedSets: forecast.countedCount,
            sets: forecast.moves.count,
            reassignedGroups: forecast.reassignedGroupCount,
            nodes: records.compactMap { PreviewReport.Node($0.member, forecast, statuses[$0.member.id]) },
            bytesPerSecond: rate?.bytes,
            copiesPerSecond: rate?.items,
            expectedSeconds: RepairReport.expectedSeconds(
                bytes: moved.byteCount,
                instances: moved.copyCount,
                rate: rate
            ),
            copies: copies,
            isSpreadAfterwards: forecast.shortGroupCount == 0,
            shortGroups: forecast.shortGroupCount,
            waitingGroups: forecast.waitingGroupCount
        )
    }

    /// What the nodes say that answer.
    private func statuses(of records: [NodeRecord]) async -> [NodeID: NodeStatusReport] {
        await withTaskGroup(of: (NodeID, NodeStatusReport?).self) { tasks in
            for record in records where record.service != .removed {
                tasks.addTask { await (record.member.id, status(of: record.member.id)) }
            }
            var found: [NodeID: NodeStatusReport] = [:]
            for await (node, status) in tasks { found[node] = status }
            return found
        }
    }

    private func status(of node: NodeID) async -> NodeStatusReport? {
        // One that does not answer takes nothing now, whatever the reason.
        try? await cluster.status(of: node)
    }
}

extension PreviewReport.Amount {
    fileprivate init(_ amount: MovementForecast.Amount) {
        self.init(copies: amount.copyCount, bytes: amount.byteCount)
    }
}

extension PreviewReport.Node {
    /// Nil for a node that nothing comes to and nothing goes from.
    fileprivate init?(_ member: StorageMember, _ forecast: MovementForecast, _ status: NodeStatusReport?) {
        let gained = forecast.gained(by: member.id)
        let arriving = forecast.arriving(at: member.id)
        let lost = forecast.lost(by: member.id)
        guard gained.copyCount + arriving.copyCount + lost.copyCount > 0 else { return nil }
        let free = status.map { Int64(clamping: $0.freeBytes) }
        let room = status.map { Int64(clamping: $0.freeBytes) + Int64(clamping: $0.usedBytes) } ?? 0
        let afterwards = free.map { $0 - gained.byteCount - arriving.byteCount }
        self.init(
            name: member.name,
            id: "\(member.id)",
            receives: PreviewReport.Amount(gained),
            givesUp: PreviewReport.Amount(lost),
            alsoReceives: PreviewReport.Amount(arriving),
            freeBytes: free,
            freeBytesAfterwards: afterwards,
            isTooFull: gained.copyCount > 0 && (afterwards ?? .max) < room / 20
        )
    }
}
