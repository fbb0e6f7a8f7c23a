// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import ServiceLifecycle
import Telemetry

/// Metrics of who leads, of the placement map, and of what each storage node says of itself.
///
/// ``run()`` asks from time to time. A node that does not answer has no series; the lease as it was read last runs out by itself.
final class ClusterMetrics: Sendable {
    private struct State {
        var lease: CoordinatorLease?
        var leaseEnd: ContinuousClock.Instant?
        var catalogEpoch: MapEpoch?
        /// What they said last, by name and id.
        var nodes: [(labels: String, status: NodeStatusReport)] = []
    }

    private static let interval = Duration.seconds(5)

    private let catalog: Catalog
    private let cluster: ClusterClient
    private let state = NIOLockedValueBox(State())

    init(catalog: Catalog, cluster: ClusterClient, registry: MetricsRegistry) {
        self.catalog = catalog
        self.cluster = cluster
        let state = state
        func collect(_ name: String, _ help: String, _ value: @escaping @Sendable (State) -> Double?) {
            registry.collection(name, help: help) {
                state.withLockedValue { value($0) }.map { [("", $0)] } ?? []
            }
        }
        func collect(_ name: String, ofNodes help: String, _ value: @escaping @Sendable (NodeStatusReport) -> Double?) {
            registry.collection(name, help: help) {
                state.withLockedValue { $0.nodes }.compactMap { node in value(node.status).map { (node.labels, $0) } }
            }
        }
        collect("varve_lease_term", "The term of the coordinator that leads, or led last.") {
            $0.lease.map { Double($0.term.rawValue) }
        }
        collect("varve_lease_remaining_seconds", "For how long the coordinator that leads still does; 0: none leads.") {
            $0.leaseEnd.map { max(0, (ContinuousClock.now.duration(to: $0) / .seconds(1))) }
        }
        registry.collection(
            "varve_map_epoch",
            help: "The epoch of the placement map, as this ingest node has it and as the catalog does."
        ) {
            let published = state.withLockedValue { $0.catalogEpoch }
            return [("seen=\"ingest\"", Double(cluster.mapEpoch.rawValue))]
                + (published.map { [("seen=\"catalog\"", Double($0.rawValue))] } ?? [])
        }
        collect("varve_node_records", ofNodes: "Records that a storage node has.") { Double($0.recordCount) }
        collect("varve_node_used_bytes", ofNodes: "Bytes of a storage node's segments.") { Double($0.usedBytes) }
        collect("varve_node_free_bytes", ofNodes: "Bytes that a storage node's disks have left.") {
            Double($0.freeBytes)
        }
        collect("varve_node_accepts_writes", ofNodes: "Whether a storage node takes records.") {
            $0.acceptsWrites ? 1 : 0
        }
        collect("varve_node_uncertain", ofNodes: "Whether a storage node may have lost what it does not know.") {
            $0.isUncertain ? 1 : 0
        }
        collect("varve_node_quarantined", ofNodes: "Damaged ranges of a storage node that wait for a good copy.") {
            $0.scrub.map { Double($0.quarantinedCount) }
        }
        collect(
            "varve_node_oldest_unverified_seconds",
            ofNodes: "How long ago the record was read and checked whose last check is longest ago."
        ) { $0.scrub?.oldestUnverifiedSeconds.map { Double($0) } }
    }

    /// Asks until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.readCatalog()
                await self.askNodes()
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    private func readCatalog() async {
        do throws(CatalogError) {
            let lease = try await catalog.lease()
            let epoch = try await catalog.placementMap().epoch
            state.withLockedValue { state in
                // The term stays when nobody leads.
                state.lease = lease ?? state.lease
                state.leaseEnd = .now + (lease?.remaining ?? .zero)
                state.catalogEpoch = epoch
            }
        } catch {
            // `varve_catalog_up` says so.
            return
        }
    }

    private func askNodes() async {
        let members = cluster.map?.members ?? []
        let nodes = await withTaskGroup(of: (labels: String, status: NodeStatusReport)?.self) { [cluster] tasks in
            for member in members {
                tasks.addTask {
                    // Its absence says that it did not answer; why, `varve status` knows.
                    guard let status = try? await cluster.status(of: member.id) else { return nil }
                    return ("node=\"\(RepairMetrics.escaped(member.name))\",id=\"\(member.id)\"", status)
                }
            }
            var nodes: [(labels: String, status: NodeStatusReport)] = []
            for await node in tasks { if let node { nodes.append(node) } }
            return nodes.sorted { $0.labels < $1.labels }
        }
        state.withLockedValue { $0.nodes = nodes }
    }
}
