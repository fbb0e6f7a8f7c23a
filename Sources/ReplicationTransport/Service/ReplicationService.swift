// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement
public import ReplicationProtocol

/// What a node does for its peers.
///
/// ``ReplicationServer`` calls it, one task a request.
///
/// Called from tasks, many at once: ``get(_:range:isBackground:)`` and what it returns on the connection's event loop, where they must
/// not block, nor compute for longer than it takes to check a megabyte, all others on the global executor. A task is cancelled when the client withdraws the request or
/// its connection ends.
public protocol ReplicationService: Sendable {
    /// Stores a record; returns when it is durable. The wire's checksums are verified; the digest is not.
    func put(_ request: PutRequest, data: PutData) async throws(ReplicationError) -> PutOutcome

    /// Looks for a record; `nil` when the node is sure not to have it, `.unknown` when it is not sure.
    func head(_ id: RecordID) async throws(ReplicationError) -> HeadResult?

    /// As ``get(_:range:isBackground:)`` when what comes first is in memory; `nil` when it is not, and when anything is wrong: then
    /// ``get(_:range:isBackground:)`` says what. On the connection's event loop.
    func getAtOnce(_ id: RecordID, range: Range<UInt64>?) -> GetSource?

    /// Where records are, in their order, when that needs no disk; `nil` when it does. On the connection's event loop.
    func placesAtOnce(_ ids: [RecordID]) -> [FilePlace?]?

    /// Opens a record's payload for reading; the range's part beyond its end is ignored.
    ///
    /// What is read once, in the background, is to leave alone what is kept in memory for those who wait.
    func get(_ id: RecordID, range: Range<UInt64>?, isBackground: Bool) async throws(ReplicationError) -> GetSource

    /// Reads a record completely and checks it.
    func verify(_ id: RecordID) async throws(ReplicationError)

    /// The ids of a group's records above `after`, ascending, at most `limit` of them.
    func list(group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID]

    /// How the node is doing.
    func nodeStatus() async -> NodeStatusReport

    /// Stores an amendment; returns when it is durable. `.held` for the tombstone of a record that is held.
    func amend(_ request: AmendRequest) async throws(ReplicationError) -> PutOutcome

    /// The amendments of a range of records, in order; see ``AmendmentPage/init(fitting:hasMore:)``.
    func amendments(_ request: AmendmentsRequest) async throws(ReplicationError) -> AmendmentPage

    /// What there is of records whose ids begin with a prefix: as many parts as the request has.
    func digest(_ request: DigestRequest) async throws(ReplicationError) -> [DigestPart]

    /// Fetches a record from another node and stores it; returns when it is durable. Says now and then how far it is.
    func pull(
        _ request: PullRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> PutOutcome

    /// Destroys what was retired before.
    func purge(_ request: PurgeRequest) async throws(ReplicationError) -> PurgeResult

    /// What the node misses because of damage, from a place in its list on.
    func damage(_ request: DamageRequest) async throws(ReplicationError) -> DamageReport

    /// Forgets damage that misses nothing any more; returns how many damaged ranges are left.
    func healed(_ request: HealedRequest) async throws(ReplicationError) -> UInt64

    /// Lets copies go that are surplus; returns what became of each when that is durable.
    func drop(_ request: DropRequest) async throws(ReplicationError) -> [RecordDropOutcome]

    /// Writes records into a pack of a store; returns when it is durable there. Says now and then how far it is.
    func buildPack(
        _ request: BuildPackRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> BuiltPack

    /// Reads a pack whole from its store and proves it. Says now and then how far it is.
    func verifyPack(
        _ request: VerifyPackRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError)

    /// Removes a pack from its store; one that is not there has been removed.
    func removePack(_ request: RemovePackRequest) async throws(ReplicationError)

    /// Stores records that a pack of a store has; returns what became of each when that is durable. Says now and then how far it is.
    func recall(
        _ request: RecallRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> [RecallOutcome]

    /// What ``persist(_:)`` was last told; the server asks once, before it listens.
    func fencePosition() async throws(ReplicationError) -> FencePosition

    /// Makes the position durable. The server calls it for one position after another, never for two at once, and checks
    /// terms and epochs itself: requests that reach the service have passed the fence.
    func persist(_ position: FencePosition) async throws(ReplicationError)
}

/// A service that does not offer an operation says so, and nothing is to be had at once; the fence is no option.
extension ReplicationService {
    public func getAtOnce(_ id: RecordID, range: Range<UInt64>?) -> GetSource? { nil }

    public func placesAtOnce(_ ids: [RecordID]) -> [FilePlace?]? { nil }

    public func amend(_ request: AmendRequest) async throws(ReplicationError) -> PutOutcome {
        throw .notOffered("amendments")
    }

    public func amendments(_ request: AmendmentsRequest) async throws(ReplicationError) -> AmendmentPage {
        throw .notOffered("amendments")
    }

    public func digest(_ request: DigestRequest) async throws(ReplicationError) -> [DigestPart] {
        throw .notOffered("digests")
    }

    public func pull(
        _ request: PullRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> PutOutcome {
        throw .notOffered("pulls")
    }

    public func purge(_ request: PurgeRequest) async throws(ReplicationError) -> PurgeResult {
        throw .notOffered("purges")
    }

    public func damage(_ request: DamageRequest) async throws(ReplicationError) -> DamageReport {
        throw .notOffered("lists of damage")
    }

    public func healed(_ request: HealedRequest) async throws(ReplicationError) -> UInt64 {
        throw .notOffered("lists of damage")
    }

    public func drop(_ request: DropRequest) async throws(ReplicationError) -> [RecordDropOutcome] {
        throw .notOffered("drops")
    }

    public func buildPack(
        _ request: BuildPackRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> BuiltPack {
        throw .notOffered("packs")
    }

    public func verifyPack(
        _ request: VerifyPackRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) {
        throw .notOffered("packs")
    }

    public func removePack(_ request: RemovePackRequest) async throws(ReplicationError) {
        throw .notOffered("the removal of packs")
    }

    public func recall(
        _ request: RecallRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> [RecallOutcome] {
        throw .notOffered("packs")
    }
}

extension ReplicationError {
    fileprivate static func notOffered(_ what: String) -> ReplicationError {
        ReplicationError(.unsupported, "this node does not offer \(what)")
    }
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
    /// What was stored beside it; `nil` when the service does not say.
    public let metadata: ByteBuffer?
    /// The part that is delivered.
    public let range: Range<UInt64>
    /// The first bytes of that part, as far as they have been read already.
    public let first: ByteBuffer
    /// The bytes after those, in order, of any length but best 64 KiB to 1 MiB; `nil` after the last.
    public let next: @Sendable () async throws(ReplicationError) -> ByteBuffer?

    /// Describes a source; `next` is called by one task at a time.
    public init(
        payloadByteCount: UInt64,
        payloadDigest: SHA256Digest,
        metadata: ByteBuffer? = nil,
        range: Range<UInt64>,
        first: ByteBuffer = ByteBuffer(),
        next: @escaping @Sendable () async throws(ReplicationError) -> ByteBuffer?
    ) {
        self.payloadByteCount = payloadByteCount
        self.payloadDigest = payloadDigest
        self.metadata = metadata
        self.range = range
        self.first = first
        self.next = next
    }
}
