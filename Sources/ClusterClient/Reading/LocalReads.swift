// SPDX-License-Identifier: Apache-2.0

import LocalSegments
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentStore

/// Reads of records from the files of storage nodes on this host, past those nodes
/// (docs/decisions/0050-reading-the-files-of-the-same-host.md).
///
/// A node is asked only where its records are, once for many. What can't be had so (the node is on another host, the bytes
/// are not in memory, a checksum is wrong) is read as from any other node.
final class LocalReads: Sendable {
    /// The largest part of a record that is read here: what is larger streams.
    private static let maximumByteCount = 4 << 20
    /// How long a node may take to say where records are.
    private static let patience = TimeAmount.milliseconds(100)

    /// Records whose places are asked for with the next message on one connection, and who waits for that.
    private struct Batch {
        var ids: [RecordID] = []
        var waiting: [@Sendable () -> Void] = []
    }

    private struct State {
        var nodes: [NodeID: LocalRecords] = [:]
        var batches: [ObjectIdentifier: Batch] = [:]
        var readCount = 0
    }

    private let directory: String
    private let cluster: ClusterID
    private let threads: NIOThreadPool
    private let state = NIOLockedValueBox(State())

    /// For nodes whose sockets are in `directory`.
    init(directory: String, cluster: ClusterID, threads: NIOThreadPool = .singleton) {
        self.directory = directory
        self.cluster = cluster
        self.threads = threads
    }

    /// Records, or parts of such, that were read here.
    var readCount: Int { state.withLockedValue { $0.readCount } }

    /// The bytes of `range` when they are to be had at once.
    func read(_ id: RecordID, copies: [NodeID], range: Range<UInt64>?) -> ByteBuffer? {
        if let range, range.upperBound - range.lowerBound > UInt64(Self.maximumByteCount) { return nil }
        for node in copies {
            guard let bytes = records(of: node).read(id, range: range) else { continue }
            state.withLockedValue { $0.readCount += 1 }
            return bytes
        }
        return nil
    }

    /// What the record's header says when it is to be had at once.
    func head(_ id: RecordID, copies: [NodeID]) -> HeadResult? {
        for node in copies {
            guard let info = records(of: node).head(id) else { continue }
            return HeadResult(
                metadata: info.metadata,
                payloadByteCount: info.payloadByteCount,
                payloadDigest: info.payloadDigest
            )
        }
        return nil
    }

    /// Asks the first of `copies` that is on this host where the record is; false when none is to be asked.
    ///
    /// `done` is called once there is an answer or none is to come, on the event loop of that node's connection. All that is asked for in
    /// one turn of that loop goes in one message.
    func lookUp(
        _ id: RecordID,
        copies: [NodeID],
        client: (NodeID) -> ReplicationClient?,
        done: @escaping @Sendable () -> Void
    ) -> Bool {
        for node in copies {
            let records = records(of: node)
            guard records.wantsPlace(of: id), let client = client(node), client.isConnected else { continue }
            let isFirst = state.withLockedValue { state in
                var batch = state.batches.removeValue(forKey: ObjectIdentifier(client)) ?? Batch()
                batch.ids.append(id)
                batch.waiting.append(done)
                defer { state.batches[ObjectIdentifier(client)] = batch }
                return batch.ids.count == 1
            }
            if isFirst { client.eventLoop.execute { self.ask(client, records) } }
            return true
        }
        return false
    }

    private func ask(_ client: ReplicationClient, _ records: LocalRecords) {
        guard let batch = state.withLockedValue({ $0.batches.removeValue(forKey: ObjectIdentifier(client)) }) else {
            return
        }
        var ids = batch.ids[...]
        var waiting = batch.waiting[...]
        while !ids.isEmpty {
            let asked = Array(ids.prefix(PlacesRequest.maximumCount))
            let told = Array(waiting.prefix(asked.count))
            ids = ids.dropFirst(asked.count)
            waiting = waiting.dropFirst(asked.count)
            // Ends by itself, and soon: nobody withdraws it.
            _ = client.startPlaces(asked, timeout: Self.patience) { result in
                switch result {
                case .success(let places): records.note(places, of: asked)
                case .failure: records.leaveAlone()
                }
                for done in told { done() }
            }
        }
    }

    private func records(of node: NodeID) -> LocalRecords {
        state.withLockedValue { state in
            if let known = state.nodes[node] { return known }
            let records = LocalRecords(
                socketPath: SegmentFileSocket.path(of: "\(node)", in: directory),
                cluster: cluster,
                maximumByteCount: Self.maximumByteCount,
                threads: threads
            )
            state.nodes[node] = records
            return records
        }
    }
}
