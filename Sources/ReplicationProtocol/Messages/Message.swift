// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// A message's payload, decoded.
public enum Message: Hashable, Sendable {
    case hello(Hello)
    case helloAck(HelloAck)
    case ping(token: UInt64)
    case pong(token: UInt64)
    case goAway(GoAway)
    case credit(byteCount: UInt64)
    case cancel
    case error(ReplicationError)
    case putBegin(PutBegin)
    case metadata(ByteBuffer)
    case data(ByteBuffer)
    case putCommit(payloadByteCount: UInt64)
    case putAck(PutOutcome)
    case get(GetRequest)
    case getBegin(GetBegin)
    case head(RecordQuery)
    /// `nil`: the node does not have the record.
    case headResult(HeadBegin?)
    case verify(RecordQuery)
    case verifyResult
    case list(ListRequest)
    case listResult([RecordID])
    case status(timeoutMilliseconds: UInt32)
    case statusResult(NodeStatusReport)
    case places(PlacesRequest)
    /// In the order of the request; `nil` for a record that has no place to be read at.
    case placesResult([FilePlace?])
    case amend(AmendRequest)
    case amendResult(PutOutcome)
    case amendments(AmendmentsRequest)
    case amendmentsResult(AmendmentPage)
    case digest(DigestRequest)
    case digestResult([DigestPart])
    case pull(PullRequest)
    case pullProgress(PullProgress)
    case pullResult(PutOutcome)
    case purgePermit(PurgeRequest)
    case purgeResult(PurgeResult)
    case map(MapRequest)
    /// The highest term and epoch the node knows now.
    case mapResult(OrderStamp)
    case damage(DamageRequest)
    case damageResult(DamageReport)
    case healed(HealedRequest)
    /// How many damaged ranges are left.
    case healedResult(remainingCount: UInt64)
    case drop(DropRequest)
    /// In the order of the request.
    case dropResult([RecordDropOutcome])
    case buildPack(BuildPackRequest)
    case buildPackResult(BuiltPack)
    case verifyPack(VerifyPackRequest)
    case verifyPackResult
    case recall(RecallRequest)
    /// In the order of the request.
    case recallResult([RecallOutcome])
    case removePack(RemovePackRequest)
    case removePackResult

    public var type: MessageType {
        switch self {
        case .hello: .hello
        case .helloAck: .helloAck
        case .ping: .ping
        case .pong: .pong
        case .goAway: .goAway
        case .credit: .credit
        case .cancel: .cancel
        case .error: .error
        case .putBegin: .putBegin
        case .metadata: .metadata
        case .data: .data
        case .putCommit: .putCommit
        case .putAck: .putAck
        case .get: .get
        case .getBegin: .getBegin
        case .head: .head
        case .headResult: .headResult
        case .verify: .verify
        case .verifyResult: .verifyResult
        case .list: .list
        case .listResult: .listResult
        case .status: .status
        case .statusResult: .statusResult
        case .places: .places
        case .placesResult: .placesResult
        case .amend: .amend
        case .amendResult: .amendResult
        case .amendments: .amendments
        case .amendmentsResult: .amendmentsResult
        case .digest: .digest
        case .digestResult: .digestResult
        case .pull: .pull
        case .pullProgress: .pullProgress
        case .pullResult: .pullResult
        case .purgePermit: .purgePermit
        case .purgeResult: .purgeResult
        case .map: .map
        case .mapResult: .mapResult
        case .damage: .damage
        case .damageResult: .damageResult
        case .healed: .healed
        case .healedResult: .healedResult
        case .drop: .drop
        case .dropResult: .dropResult
        case .buildPack: .buildPack
        case .buildPackResult: .buildPackResult
        case .verifyPack: .verifyPack
        case .verifyPackResult: .verifyPackResult
        case .recall: .recall
        case .recallResult: .recallResult
        case .removePack: .removePack
        case .removePackResult: .removePackResult
        }
    }
}
