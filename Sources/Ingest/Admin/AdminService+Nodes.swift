// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Telemetry

/// What operators see of nodes, and what they ask of the coordinator.
extension AdminService {
    /// How long an order is waited for: a coordinator looks each second.
    private static let patience = Duration.seconds(15)
    /// Orders that `node show` lists.
    private static let orderCount = 20

    /// Why a node was not found.
    enum NodeSearch: Sendable {
        case found(NodeRecord)
        /// There is none of that name or id.
        case none
        /// Several have the name, with these ids.
        case several([String])
    }

    func nodes() async throws(CatalogError) -> [NodeReport] {
        let amounts = try await catalog.repairByNode()
        var reports: [NodeReport] = []
        for record in try await catalog.nodeRecords() {
            reports.append(await report(on: record, amounts[record.member.id]))
        }
        return reports
    }

    func node(_ record: NodeRecord) async throws(CatalogError) -> NodeDetailReport {
        let overview = try await catalog.repairOverview()
        let amounts = try await catalog.repairByNode()[record.member.id]
        let total = (amounts?.arriving ?? RepairAmount()) + (amounts?.leaving ?? RepairAmount())
        return NodeDetailReport(
            node: await report(on: record, amounts),
            bytesPerSecond: overview.rate?.bytes,
            copiesPerSecond: overview.rate?.items,
            expectedSeconds: RepairReport.expectedSeconds(
                bytes: total.byteCount,
                instances: total.instanceCount,
                rate: overview.rate
            ),
            orders: try await catalog.nodeOrders(of: record.member.id, limit: Self.orderCount)
                .map { NodeOrderReport($0) }
        )
    }

    private func report(
        on record: NodeRecord,
        _ amounts: (arriving: RepairAmount, leaving: RepairAmount)?
    ) async -> NodeReport {
        let now = Timestamp.now().milliseconds
        func time(_ offset: Duration) -> String {
            Timestamp(milliseconds: now + Int64(offset / .milliseconds(1))).text
        }
        return NodeReport(
            node: await report(on: record.member),
            since: time(.zero - record.stateAge),
            maintenanceUntil: record.maintenanceLeft.map(time),
            arriving: RepairReport.Amount(amounts?.arriving ?? RepairAmount()),
            leaving: RepairReport.Amount(amounts?.leaving ?? RepairAmount())
        )
    }

    /// The node of a name or an id; of several with a name, the one that has not been removed.
    func findNode(_ text: String) async throws(CatalogError) -> NodeSearch {
        let records = try await catalog.nodeRecords()
        if let id = NodeID(text), let record = records.first(where: { $0.member.id == id }) { return .found(record) }
        let named = records.filter { $0.member.name == text }
        let present = named.filter { $0.service != .removed }
        let candidates = present.isEmpty ? named : present
        guard let first = candidates.first else { return .none }
        return candidates.count == 1 ? .found(first) : .several(candidates.map { "\($0.member.id)" })
    }

    /// Enters an order and waits until a coordinator has decided; as it is then.
    func order(
        _ kind: NodeOrder.Kind,
        _ node: NodeID,
        seconds: Int64,
        reason: String,
        requestedBy: String
    ) async throws(CatalogError) -> NodeOrder? {
        let number = try await catalog.enterNodeOrder(
            kind,
            of: node,
            seconds: seconds,
            requestedBy: requestedBy,
            reason: reason
        )
        let deadline = ContinuousClock.now + Self.patience
        while true {
            let order = try await catalog.nodeOrder(number)
            guard order?.decidedAtMilliseconds == nil, ContinuousClock.now < deadline, !Task.isCancelled else {
                return order
            }
            // Cancellation ends the wait.
            try? await Task.sleep(for: .milliseconds(200))
        }
    }
}
