// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import Placement
import ServiceLifecycle
import Telemetry

/// Metrics of the whole cluster, as the coordinator writes them down in the catalog: the same from every ingest node.
///
/// ``run()`` reads them from time to time; while the catalog is away the last ones stay.
final class RepairMetrics: Sendable {
    private struct State {
        var overview: RepairOverview?
        var comparison: ComparisonOverview?
        var nodes: [NodeRecord] = []
    }

    private static let interval = Duration.seconds(5)

    private let catalog: Catalog
    private let state = NIOLockedValueBox(State())

    init(catalog: Catalog, copies: Int, registry: MetricsRegistry) {
        self.catalog = catalog
        let state = state
        func collect(
            _ name: String,
            _ help: String,
            isCounter: Bool = false,
            _ values: @escaping @Sendable (State) -> [(labels: String, value: Double)]
        ) {
            registry.collection(name, help: help, isCounter: isCounter) { values(state.withLockedValue { $0 }) }
        }
        collect("varve_under_replicated_instances", "Instances by copies left, where those are fewer than wanted.") {
            guard let overview = $0.overview else { return [] }
            let amounts = overview.underReplicated
            return (0..<max(copies, overview.copies)).map { count in
                let amount = amounts.first { $0.livingCount == count }?.amount
                return ("copies_left=\"\(count)\"", Double(amount?.instanceCount ?? 0))
            }
        }
        collect("varve_repair_queue_items", "Copies in the repair queue, by kind and state.") {
            guard let overview = $0.overview else { return [] }
            return (1...4).flatMap { kind in
                (1...3).map { state in
                    let count = overview.queue.first { $0.kind == kind && $0.state == state }?.count ?? 0
                    let labels = [
                        "kind=\"\(RepairReport.kindName(kind))\"", "state=\"\(RepairReport.stateName(state))\"",
                    ]
                    return (labels.joined(separator: ","), Double(count))
                }
            }
        }
        collect("varve_repair_remaining_bytes", "Bytes of copies that are to be made, by kind.") {
            guard let overview = $0.overview else { return [] }
            return (1...3).map { kind in
                ("kind=\"\(RepairReport.kindName(kind))\"", Double(overview.remaining(kind: kind).byteCount))
            }
        }
        collect("varve_repaired_bytes_total", "Bytes of copies that were made and counted.", isCounter: true) {
            $0.overview.map { [("", Double($0.madeByteCount))] } ?? []
        }
        collect("varve_repaired_instances_total", "Copies that were made and counted.", isCounter: true) {
            $0.overview.map { [("", Double($0.madeCount))] } ?? []
        }
        collect("varve_surplus_instances", "Copies beyond those wanted.") {
            $0.overview.map { [("", Double($0.surplus.instanceCount))] } ?? []
        }
        collect("varve_surplus_bytes", "Bytes of copies beyond those wanted.") {
            $0.overview.map { [("", Double($0.surplus.byteCount))] } ?? []
        }
        collect("varve_dropped_instances_total", "Surplus copies that were dropped.", isCounter: true) {
            $0.overview.map { [("", Double($0.droppedCount))] } ?? []
        }
        collect("varve_dropped_bytes_total", "Bytes of surplus copies that were dropped.", isCounter: true) {
            $0.overview.map { [("", Double($0.droppedByteCount))] } ?? []
        }
        collect("varve_repair_bytes_per_second", "Bytes of copies made a second, over the last minute.") {
            $0.overview.map { [("", $0.rate?.bytes ?? 0)] } ?? []
        }
        collect("varve_mass_loss", "Whether so many nodes are missing at once that none is declared out.") {
            $0.overview.map { [("", $0.alarm.isEmpty ? 0 : 1)] } ?? []
        }
        collect("varve_compared_copies_total", "Copies compared with the catalog, by what was found.", isCounter: true)
        {
            guard let counts = $0.comparison?.totalCounts else { return [] }
            return [
                ("found=\"present\"", Double(counts.presentCount)), ("found=\"unasked\"", Double(counts.unaskedCount)),
                ("found=\"missing\"", Double(counts.missingCount)),
                ("found=\"uncounted\"", Double(counts.uncountedCount)),
                ("found=\"orphan\"", Double(counts.orphanCount)), ("found=\"trashed\"", Double(counts.trashedCount)),
            ]
        }
        collect("varve_missed_copies_total", "Copies that were missing and are counted no more.", isCounter: true) {
            $0.comparison.map { [("", Double($0.uncountedTotal))] } ?? []
        }
        collect("varve_lost_instances", "Instances of which no good copy is known anywhere.") {
            $0.comparison.map { [("", Double($0.lostCount))] } ?? []
        }
        collect("varve_comparison_finished_seconds", "When the last comparison of all groups ended, since 1970.") {
            $0.comparison?.lastFinishedAtMilliseconds.map { [("", Double($0) / 1000)] } ?? []
        }
        collect("varve_node_state", "The state of each storage node that has not been removed: 1 for the one it is in.")
        {
            $0.nodes.filter { $0.service != .removed }.flatMap { record in
                NodeState.allCases.filter { $0 != .removed }.map { state in
                    let labels =
                        "node=\"\(Self.escaped(record.member.name))\",id=\"\(record.member.id)\",state=\"\(state.name)\""
                    return (labels, record.member.state == state ? 1 : 0)
                }
            }
        }
    }

    /// Reads until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.read()
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    private func read() async {
        do throws(CatalogError) {
            let overview = try await catalog.repairOverview()
            let nodes = try await catalog.nodeRecords()
            let comparison = try await catalog.comparisonOverview(limit: 0)
            state.withLockedValue { $0 = State(overview: overview, comparison: comparison, nodes: nodes) }
        } catch {
            // `varve_catalog_up` says so.
            return
        }
    }

    static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
