// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
import Placement
import Reconciliation
import Repair
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// The real comparison of catalog and nodes of one term of office, and whose word counts for it.
///
/// Follows `Situation.answers` and the part of `Leadership.tell` that concerns it.
struct ComparedNodes {
    private static let logger = Logger(label: "comparison") { _ in SwiftLogNoOpLogHandler() }

    let worker: ComparisonWorker
    private let world: World
    private var trust: NodeTrust

    init(_ access: SimulatedLedger, gate: CountingGate, interval: Duration, in world: World) {
        self.world = world
        // Who leads anew has not seen how long they have been sure.
        self.trust = NodeTrust(settling: world.plan.trustSettling)
        let groups = ComparedGroups(access.ledger)
        self.worker = ComparisonWorker(
            ledger: access,
            gate: gate,
            limits: world.plan.repair,
            period: world.plan.comparisonPeriod,
            interval: interval,
            following: { groups.group(after: $0) },
            clock: world.repairClock,
            logger: Self.logger
        )
    }

    /// Tells what is known now: the map in force, and the members that answer.
    mutating func update(_ map: PlacementMap, _ stamp: OrderStamp, answering: [StorageProcess], peers: [SimulatedPeer])
    {
        let up = Set(peers.map(\.id))
        let answers = answering.filter { up.contains($0.store.id) }.compactMap { node -> NodeTrust.Answer? in
            guard let status = node.store.engine?.status else { return nil }
            return NodeTrust.Answer(
                node: node.store.id,
                incarnation: node.incarnation,
                isSure: !status.isUncertain && !status.quarantinedRanges.contains { $0.kind == .damaged }
            )
        }
        let trusted = trust.judge(answers, now: .microseconds(world.now))
        let asked: [any ComparisonPeer] = world.has(.uncountUnread) ? peers.map { HastyPeer(peer: $0) } : peers
        worker.update(
            ComparisonView(
                stamp: stamp,
                members: Dictionary(map.members.map { ($0.id, $0.name) }) { first, _ in first },
                peers: asked,
                trusted: trusted
            )
        )
    }

    func rest() { worker.update(nil) }
}

/// A deliberate mistake: what a node has written down of a record passes for its bytes.
private struct HastyPeer: ComparisonPeer {
    let peer: SimulatedPeer

    var id: NodeID { peer.id }
    var name: String { peer.name }

    func list(_ group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] {
        try await peer.list(group, after: after, limit: limit)
    }

    func digest(of id: RecordID) async throws(ReplicationError) -> SHA256Digest? { try await peer.digest(of: id) }

    func verify(_ id: RecordID) async throws(ReplicationError) {}
}
