// SPDX-License-Identifier: Apache-2.0

import Placement

/// What a message is; the number in its header.
public enum MessageType: UInt8, Sendable, CaseIterable {
    case hello = 0x01
    case helloAck = 0x02
    case ping = 0x03
    case pong = 0x04
    case goAway = 0x05
    case credit = 0x06
    case cancel = 0x07
    case error = 0x08
    case putBegin = 0x10
    case metadata = 0x11
    case data = 0x12
    case putCommit = 0x13
    case putAck = 0x14
    case get = 0x20
    case getBegin = 0x21
    case head = 0x30
    case headResult = 0x31
    case verify = 0x32
    case verifyResult = 0x33
    case list = 0x34
    case listResult = 0x35
    case status = 0x36
    case statusResult = 0x37
    case places = 0x38
    case placesResult = 0x39
    case amend = 0x40
    case amendResult = 0x41
    case amendments = 0x42
    case amendmentsResult = 0x43
    case digest = 0x44
    case digestResult = 0x45
    case pull = 0x46
    case pullProgress = 0x47
    case pullResult = 0x48
    case purgePermit = 0x49
    case purgeResult = 0x4a
    case map = 0x4b
    case mapResult = 0x4c
    case damage = 0x4d
    case damageResult = 0x4e
    case healed = 0x4f
    case healedResult = 0x50
    case drop = 0x51
    case dropResult = 0x52
    case buildPack = 0x53
    case buildPackResult = 0x54
    case verifyPack = 0x55
    case verifyPackResult = 0x56
    case recall = 0x57
    case recallResult = 0x58
    case removePack = 0x59
    case removePackResult = 0x5a

    /// The name as in docs/replication-protocol.md.
    public var name: String {
        switch self {
        case .hello: "HELLO"
        case .helloAck: "HELLO-ACK"
        case .ping: "PING"
        case .pong: "PONG"
        case .goAway: "GOAWAY"
        case .credit: "CREDIT"
        case .cancel: "CANCEL"
        case .error: "ERROR"
        case .putBegin: "PUT-BEGIN"
        case .metadata: "METADATA"
        case .data: "DATA"
        case .putCommit: "PUT-COMMIT"
        case .putAck: "PUT-ACK"
        case .get: "GET"
        case .getBegin: "GET-BEGIN"
        case .head: "HEAD"
        case .headResult: "HEAD-RESULT"
        case .verify: "VERIFY"
        case .verifyResult: "VERIFY-RESULT"
        case .list: "LIST"
        case .listResult: "LIST-RESULT"
        case .status: "STATUS"
        case .statusResult: "STATUS-RESULT"
        case .places: "PLACES"
        case .placesResult: "PLACES-RESULT"
        case .amend: "AMEND"
        case .amendResult: "AMEND-RESULT"
        case .amendments: "AMENDMENTS"
        case .amendmentsResult: "AMENDMENTS-RESULT"
        case .digest: "DIGEST"
        case .digestResult: "DIGEST-RESULT"
        case .pull: "PULL"
        case .pullProgress: "PULL-PROGRESS"
        case .pullResult: "PULL-RESULT"
        case .purgePermit: "PURGE-PERMIT"
        case .purgeResult: "PURGE-RESULT"
        case .map: "MAP"
        case .mapResult: "MAP-RESULT"
        case .damage: "DAMAGE"
        case .damageResult: "DAMAGE-RESULT"
        case .healed: "HEALED"
        case .healedResult: "HEALED-RESULT"
        case .drop: "DROP"
        case .dropResult: "DROP-RESULT"
        case .buildPack: "BUILD-PACK"
        case .buildPackResult: "BUILD-PACK-RESULT"
        case .verifyPack: "VERIFY-PACK"
        case .verifyPackResult: "VERIFY-PACK-RESULT"
        case .recall: "RECALL"
        case .recallResult: "RECALL-RESULT"
        case .removePack: "REMOVE-PACK"
        case .removePackResult: "REMOVE-PACK-RESULT"
        }
    }

    /// The most payload bytes a message of this type may have; checked before anything is allocated.
    public var maximumPayloadByteCount: Int {
        switch self {
        case .hello, .helloAck, .statusResult: 4096
        case .ping, .pong, .credit, .putCommit, .healedResult: 8
        case .cancel, .verifyResult, .verifyPackResult, .removePackResult: 0
        case .goAway, .error: 1024
        case .putAck, .amendResult, .pullResult: 1
        case .get, .head, .verify, .list, .status, .digest, .amendments, .purgePermit, .map, .damage, .healed:
            64
        case .getBegin: 56
        case .places: 8 + PlacesRequest.maximumCount * RecordID.byteCount
        case .placesResult: PlacesRequest.maximumCount * FilePlace.byteCount
        case .pullProgress, .purgeResult, .mapResult: 16
        case .pull: 512
        case .digestResult: DigestPart.byteCount << DigestRequest.maximumSplitBitCount
        case .amend: RecordAmendment.maximumPayloadByteCount + 128
        case .drop: 48 + DropRequest.Item.byteCount * DropRequest.maximumCount
        case .dropResult: DropRequest.maximumCount
        case .buildPack: 8192 + BuildPackRequest.maximumRecordCount * RecordID.byteCount
        case .buildPackResult: 48
        case .verifyPack, .removePack: 1024
        case .recall: 1024 + RecallRequest.maximumRecordCount * RecordID.byteCount
        case .recallResult: RecallRequest.maximumRecordCount
        case .putBegin, .metadata, .data, .headResult, .listResult, .amendmentsResult, .damageResult:
            MessageHeader.maximumPayloadByteCount
        }
    }

    /// Whether the message opens a stream: the first one a client sends on it.
    public var opensStream: Bool {
        switch self {
        case .putBegin, .get, .head, .verify, .list, .status, .places, .amend, .amendments, .digest, .pull,
            .purgePermit, .map, .damage, .healed, .drop, .buildPack, .verifyPack, .recall, .removePack:
            true
        case .hello, .helloAck, .ping, .pong, .goAway, .credit, .cancel, .error, .metadata, .data, .putCommit, .putAck,
            .getBegin, .headResult, .verifyResult, .listResult, .statusResult, .placesResult,
            .amendResult, .amendmentsResult, .digestResult, .pullProgress, .pullResult, .purgeResult, .mapResult,
            .damageResult, .healedResult, .dropResult, .buildPackResult, .verifyPackResult,
            .recallResult, .removePackResult:
            false
        }
    }

    /// Whether the message may be sent before the handshake is complete.
    public var belongsToHandshake: Bool {
        switch self {
        case .hello, .helloAck, .error: true
        default: false
        }
    }

    /// Whether later versions may add fields at the end, which a receiver that does not know them ignores.
    public var mayGrow: Bool {
        switch self {
        case .hello, .helloAck, .statusResult: true
        default: false
        }
    }
}

/// The flag bits of a message header; receivers ignore bits they do not know.
public struct MessageFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The bytes of this METADATA or DATA are charged to the connection's unsolicited credit.
    public static let unsolicited = MessageFlags(rawValue: 1 << 0)

    /// This GET asks for what HEAD-RESULT says as well, before GET-BEGIN; a server that does not know the bit says it not.
    public static let withHead = MessageFlags(rawValue: 1 << 3)
}
