// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement
public import ReplicationProtocol

/// What a node does for its peers.
///
/// ``ReplicationServer`` calls it, one task a request.
///
/// Called from tasks on the global executor, many at once. A task is cancelled when the client withdraws the request or
/// its connection ends.
public protocol ReplicationService: Sendable {
    /// Stores a record; returns when it is durable. The wire's checksums are verified; the digest is not.
    func put(_ request: PutRequest, data: PutData) async throws(ReplicationError) -> PutOutcome

    /// Looks for a record; `nil` when the node is sure not to have it, `.unknown` when it is not sure.
    func head(_ id: RecordID) async throws(ReplicationError) -> HeadResult?

    /// Opens a record's payload for reading; the range's part beyond its end is ignored.
    func get(_ id: RecordID, range: Range<UInt64>?) async throws(ReplicationError) -> GetSource

    /// Reads a record completely and checks it.
    func verify(_ id: RecordID) async throws(ReplicationError)

    /// The ids of a group's records above `after`, ascending, at most `limit` of them.
    func list(group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID]

    /// How the node is doing.
    func nodeStatus() async -> NodeStatusReport
}

/// The payload of a put, as the service receives it.
public enum PutData: Sendable {
    /// All of it.
    case whole(ByteBuffer)
    /// A large one, as it comes in.
    case stream(ChunkSequence)
}

/// A record's payload, or a part of it, as the service hands it to the server.
public struct GetSource: Sendable {
    /// The whole payload's length and digest.
    public let payloadByteCount: UInt64
    public let payloadDigest: SHA256Digest
    /// The part that is delivered.
    public let range: Range<UInt64>
    /// The next bytes, in order, of any length but best 64 KiB to 1 MiB; `nil` after the last.
    public let next: @Sendable () async throws(ReplicationError) -> ByteBuffer?

    /// Describes a source; `next` is called by one task at a time.
    public init(
        payloadByteCount: UInt64,
        payloadDigest: SHA256Digest,
        range: Range<UInt64>,
        next: @escaping @Sendable () async throws(ReplicationError) -> ByteBuffer?
    ) {
        self.payloadByteCount = payloadByteCount
        self.payloadDigest = payloadDigest
        self.range = range
        self.next = next
    }
}
