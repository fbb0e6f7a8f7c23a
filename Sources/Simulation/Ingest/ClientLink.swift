// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import SegmentStore

/// An ingest node's way to one storage node: keeps one connection, makes it anew when it ends, hands requests to it.
///
/// Stands for `ClientCore` of ReplicationTransport; `ReconnectBackoff` is the real one.
final class ClientLink {
    private enum State {
        case connecting(isFirst: Bool)
        case connected(ClientEnd)
        case pausing
        case stopped
    }

    let ingest: IngestProcess
    let node: StorageProcess
    let link: Link
    private var state = State.stopped
    private var backoff = ReconnectBackoff(initialMilliseconds: 20, maximumMilliseconds: 300)
    private var early: [ClientStream] = []

    init(_ ingest: IngestProcess, _ node: StorageProcess, _ link: Link) {
        self.ingest = ingest
        self.node = node
        self.link = link
    }

    var world: World { ingest.world }

    var isConnected: Bool {
        if case .connected = state { true } else { false }
    }

    func start() { connect(isFirst: true) }

    /// The process is gone.
    func forget() {
        if case .connected(let connection) = state { connection.forget() }
        state = .stopped
        early = []
    }

    func submit(_ stream: ClientStream) {
        switch state {
        case .connected(let connection): connection.submit(stream)
        case .connecting(let isFirst):
            if isFirst { early.append(stream) } else { stream.fail(down) }
        case .pausing, .stopped: stream.fail(down)
        }
    }

    private var down: ReplicationError { ReplicationError(.notConnected, "no connection to the node at the moment") }

    private func connect(isFirst: Bool) {
        state = .connecting(isFirst: isFirst)
        let target = link.misroute ?? node
        var hello = Hello(
            identity: HelloIdentity(
                clusterID: world.plan.cluster,
                nodeID: ingest.id,
                incarnation: UInt64(ingest.generation),
                role: .ingest
            ),
            expectedNodeID: node.store.id
        )
        if world.has(.ignoreCluster) {
            hello.identity.clusterID = target.store.configuration.clusterID
            hello.expectedNodeID = nil
        }
        if world.has(.ignoreNode) { hello.expectedNodeID = nil }
        // The three ways of TCP's handshake: it needs both directions and a process that listens.
        ingest.after(world.time(60...500)) { [self] in
            guard target.isRunning, !link.isBlocked[0], !link.isBlocked[1] else {
                let wait = target.isRunning ? Limits.connectTimeout : world.time(100...500)
                return ingest.after(wait) { self.lost() }
            }
            let wire = Wire(world: world, link: link)
            let end = ClientEnd(ingest, hello, wire) { [self] end in
                ready(end)
            } over: { [self] end, _ in
                over(end)
            }
            wire.attach(client: end, server: ServerEnd(target, wire))
            end.connected()
            end.flush()
        }
    }

    private func ready(_ connection: ClientEnd) {
        guard case .connecting = state else { return }
        state = .connected(connection)
        backoff.reset()
        let waiting = early
        early = []
        for stream in waiting where !stream.isOver { connection.submit(stream) }
    }

    private func over(_ connection: ClientEnd) {
        link.wires.removeAll { $0.isOver }
        switch state {
        case .connected(let current): if current === connection { lost() }
        case .connecting: lost()
        case .pausing, .stopped: break
        }
    }

    private func lost() {
        state = .pausing
        let waiting = early
        early = []
        for stream in waiting { stream.fail(down) }
        let pause = backoff.nextPause(random: world.random.next())
        ingest.after(pause * 1000) { [self] in
            if case .pausing = state { connect(isFirst: false) }
        }
    }
}
