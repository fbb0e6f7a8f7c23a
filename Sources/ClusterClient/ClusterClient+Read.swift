// SPDX-License-Identifier: Apache-2.0

import Logging
public import NIOCore
public import Placement
public import ReplicationProtocol
import ReplicationTransport

extension ClusterClient {
    /// Reads `range` of a record's payload (all of it when nil) from the first copy that is whole.
    ///
    /// A node that is down, answers with an error or finds a wrong checksum is passed over for the next copy.
    ///
    /// `copies` are the nodes that hold the record, as the catalog knows it; other nodes of its group are tried after
    /// them.
    public func read(
        _ id: RecordID,
        copies: [NodeID],
        range: Range<UInt64>?
    ) async throws(ClusterError) -> ByteBuffer {
        try await firstGoodCopy(of: id, copies: copies) { client throws(ReplicationError) in
            try await client.get(id, range: range)
        }
    }

    /// A record's metadata, payload byte count and digest, from the first copy that answers.
    public func head(_ id: RecordID, copies: [NodeID]) async throws(ClusterError) -> HeadResult {
        try await firstGoodCopy(of: id, copies: copies) { client throws(ReplicationError) in
            guard let result = try await client.head(id) else {
                throw ReplicationError(.notFound, "the node does not hold the record")
            }
            return result
        }
    }

    /// Whether one node's copy is there (`deep`: read whole, all checksums and the digest compared).
    public func check(_ id: RecordID, on node: NodeID, deep: Bool) async throws(ReplicationError) {
        guard let client = client(of: node) else {
            throw ReplicationError(.notConnected, "the node is not in the placement map")
        }
        if deep {
            try await client.verify(id)
        } else if try await client.head(id) == nil {
            throw ReplicationError(.notFound, "the node does not hold the record")
        }
    }

    /// One node's own report.
    public func status(of node: NodeID) async throws(ReplicationError) -> NodeStatusReport {
        guard let client = client(of: node) else {
            throw ReplicationError(.notConnected, "the node is not in the placement map")
        }
        return try await client.status()
    }

    private func firstGoodCopy<Value: Sendable>(
        of id: RecordID,
        copies: [NodeID],
        _ ask: (ReplicationClient) async throws(ReplicationError) -> Value
    ) async throws(ClusterError) -> Value {
        var failures: [String] = []
        var isAbsentEverywhere = true
        for node in readOrder(of: id, copies: copies) {
            guard let client = client(of: node) else { continue }
            do throws(ReplicationError) {
                return try await ask(client)
            } catch {
                let name = map?[node]?.name ?? "\(node)"
                failures.append("\(name): \(error)")
                if error.code != .notFound { isAbsentEverywhere = false }
                logger.notice(
                    "a copy could not be read, going on to the next",
                    metadata: ["node": "\(name)", "record": "\(id)", "reason": "\(error)"]
                )
            }
        }
        let reasons = failures.isEmpty ? "no node that should hold it is in the map" : failures.joined(separator: "; ")
        throw ClusterError(
            isAbsentEverywhere && !failures.isEmpty ? .notFound : .noReadableCopy,
            "record \(id) could not be read from any copy: \(reasons)"
        )
    }

    /// Known copies on connected nodes first, then known copies elsewhere, then the rest of the group's ranking: a
    /// copy may be where the catalog does not know it yet.
    private func readOrder(of id: RecordID, copies: [NodeID]) -> [NodeID] {
        let connected = connectedNodes
        let ranked = map?.ranking(of: id.group, copies: configuration.copies).map(\.id) ?? []
        let known = copies.filter { connected.contains($0) } + copies.filter { !connected.contains($0) }
        return known + ranked.filter { !copies.contains($0) && connected.contains($0) }
    }
}
