// SPDX-License-Identifier: Apache-2.0

public import NIOCore
import Placement

extension Message {
    /// Decodes the payload of a message whose checksums have been verified.
    ///
    /// Byte buffers in the result share `payload`'s storage.
    public init(_ type: MessageType, payload: ByteBuffer) throws(ReplicationError) {
        var reader = PayloadReader(payload, type: type)
        switch type {
        case .hello: self = .hello(try Hello(reading: &reader))
        case .helloAck: self = .helloAck(try HelloAck(reading: &reader))
        case .ping: self = .ping(token: try reader.integer())
        case .pong: self = .pong(token: try reader.integer())
        case .goAway:
            let lastStreamID: UInt32 = try reader.integer()
            let code = ReplicationError.Code(rawValue: try reader.integer())
            self = .goAway(GoAway(lastStreamID: lastStreamID, code: code, message: try reader.text()))
        case .credit: self = .credit(byteCount: try reader.integer())
        case .cancel: self = .cancel
        case .error: self = .error(try ReplicationError(reading: &reader))
        case .putBegin: self = .putBegin(try PutBegin(reading: &reader))
        case .metadata: self = .metadata(reader.rest())
        case .data: self = .data(reader.rest())
        case .putCommit: self = .putCommit(payloadByteCount: try reader.integer())
        case .putAck:
            self = .putAck(try reader.putOutcome())
        case .get: self = .get(try GetRequest(reading: &reader))
        case .getBegin: self = .getBegin(try GetBegin(reading: &reader))
        case .head: self = .head(try RecordQuery(reading: &reader))
        case .headResult: self = .headResult(try reader.claim() ? HeadBegin(reading: &reader) : nil)
        case .verify: self = .verify(try RecordQuery(reading: &reader))
        case .verifyResult: self = .verifyResult
        case .list: self = .list(try ListRequest(reading: &reader))
        case .listResult:
            var ids: [RecordID] = []
            guard payload.readableBytes / RecordID.byteCount <= ListRequest.maximumCount else {
                throw .malformed(type, "more than \(ListRequest.maximumCount) ids")
            }
            ids.reserveCapacity(payload.readableBytes / RecordID.byteCount)
            while reader.bytes.readableBytes > 0 { ids.append(try reader.recordID()) }
            self = .listResult(ids)
        case .status: self = .status(timeoutMilliseconds: try reader.integer())
        case .statusResult: self = .statusResult(try NodeStatusReport(reading: &reader))
        case .places: self = .places(try PlacesRequest(reading: &reader))
        case .placesResult: self = .placesResult(try FilePlace.readAll(from: &reader))
        case .amend: self = .amend(try AmendRequest(reading: &reader))
        case .amendResult: self = .amendResult(try reader.putOutcome())
        case .amendments: self = .amendments(try AmendmentsRequest(reading: &reader))
        case .amendmentsResult: self = .amendmentsResult(try AmendmentPage(reading: &reader))
        case .digest: self = .digest(try DigestRequest(reading: &reader))
        case .digestResult: self = .digestResult(try DigestPart.readAll(from: &reader))
        case .pull: self = .pull(try PullRequest(reading: &reader))
        case .pullProgress: self = .pullProgress(try PullProgress(reading: &reader))
        case .pullResult: self = .pullResult(try reader.putOutcome())
        case .purgePermit: self = .purgePermit(try PurgeRequest(reading: &reader))
        case .purgeResult: self = .purgeResult(try PurgeResult(reading: &reader))
        case .map: self = .map(try MapRequest(reading: &reader))
        case .mapResult: self = .mapResult(try OrderStamp(reading: &reader))
        case .damage: self = .damage(try DamageRequest(reading: &reader))
        case .damageResult: self = .damageResult(try DamageReport(reading: &reader))
        case .healed: self = .healed(try HealedRequest(reading: &reader))
        case .healedResult: self = .healedResult(remainingCount: try reader.integer())
        case .drop: self = .drop(try DropRequest(reading: &reader))
        case .dropResult: self = .dropResult(try RecordDropOutcome.readAll(from: &reader))
        case .buildPack: self = .buildPack(try BuildPackRequest(reading: &reader))
        case .buildPackResult: self = .buildPackResult(try BuiltPack(reading: &reader))
        case .verifyPack: self = .verifyPack(try VerifyPackRequest(reading: &reader))
        case .verifyPackResult: self = .verifyPackResult
        case .recall: self = .recall(try RecallRequest(reading: &reader))
        case .recallResult: self = .recallResult(try RecallOutcome.readAll(from: &reader))
        case .removePack: self = .removePack(try RemovePackRequest(reading: &reader))
        case .removePackResult: self = .removePackResult
        }
        if !type.mayGrow { try reader.end() }
    }
}

extension HelloIdentity {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let clusterID = try reader.clusterID()
        let nodeID = try reader.nodeID()
        let incarnation: UInt64 = try reader.integer()
        let roleNumber: UInt8 = try reader.integer()
        guard let role = NodeRole(rawValue: roleNumber) else {
            throw .malformed(reader.type, "the unknown role \(roleNumber)")
        }
        let mapEpoch = MapEpoch(rawValue: try reader.integer())
        let term = Term(rawValue: try reader.integer())
        let domain = FailureDomain(
            site: try reader.shortText(),
            rack: try reader.shortText(),
            host: try reader.shortText()
        )
        self.init(
            clusterID: clusterID,
            nodeID: nodeID,
            incarnation: incarnation,
            role: role,
            domain: domain,
            mapEpoch: mapEpoch,
            term: term,
            software: try reader.shortText()
        )
    }
}

extension Hello {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let lowest: UInt16 = try reader.integer()
        let highest: UInt16 = try reader.integer()
        guard lowest <= highest else { throw .malformed(reader.type, "an empty range of versions") }
        let features: UInt64 = try reader.integer()
        let requiredFeatures: UInt64 = try reader.integer()
        let expected = try reader.nodeID()
        self.init(
            identity: try HelloIdentity(reading: &reader),
            versions: lowest...highest,
            features: features,
            requiredFeatures: requiredFeatures,
            expectedNodeID: expected.high == 0 && expected.low == 0 ? nil : expected
        )
    }
}

extension HelloAck {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let version: UInt16 = try reader.integer()
        let features: UInt64 = try reader.integer()
        let limits = SessionLimits(
            streamCredit: try reader.integer(),
            connectionCredit: try reader.integer(),
            maximumStreams: try reader.integer(),
            idleTimeoutMilliseconds: try reader.integer()
        )
        self.init(
            identity: try HelloIdentity(reading: &reader),
            version: version,
            features: features,
            limits: limits
        )
    }
}

extension ReplicationError {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let code = Code(rawValue: try reader.integer())
        guard let retry = RetryClass(rawValue: try reader.integer()) else {
            throw .malformed(reader.type, "an unknown retry class")
        }
        self.init(code, try reader.text(), retry: retry)
    }
}

extension PutBegin {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let recordID = try reader.recordID()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        let recordType: UInt8 = try reader.integer()
        let hasTerm = try reader.claim()
        _ = try reader.integer(UInt16.self)
        let mapEpoch = MapEpoch(rawValue: try reader.integer())
        let term = Term(rawValue: try reader.integer())
        let payloadByteCount: UInt64 = try reader.integer()
        let digest = try reader.digest()
        let metadataByteCount: UInt32 = try reader.integer()
        _ = try reader.integer(UInt32.self)
        let metadata = reader.rest()
        guard metadata.readableBytes <= metadataByteCount else {
            throw .malformed(reader.type, "more metadata than declared")
        }
        guard metadataByteCount <= PutRequest.maximumMetadataByteCount else {
            throw .malformed(reader.type, "metadata of \(metadataByteCount) bytes")
        }
        self.init(
            request: PutRequest(
                recordID: recordID,
                recordType: recordType,
                metadata: metadata,
                payloadByteCount: payloadByteCount,
                payloadDigest: digest,
                mapEpoch: mapEpoch,
                term: hasTerm ? term : nil
            ),
            metadataByteCount: Int(metadataByteCount),
            timeoutMilliseconds: timeoutMilliseconds
        )
    }
}

extension GetRequest {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let recordID = try reader.recordID()
        let timeoutMilliseconds: UInt32 = try reader.integer()
        let offset: UInt64 = try reader.integer()
        let byteCount: UInt64 = try reader.integer()
        let credit: UInt64 = try reader.integer()
        var range: Range<UInt64>?
        if offset != 0 || byteCount != .max {
            let (end, overflow) = offset.addingReportingOverflow(byteCount)
            range = offset..<(overflow ? .max : end)
        }
        self.init(recordID: recordID, range: range, credit: credit, timeoutMilliseconds: timeoutMilliseconds)
    }
}

extension GetBegin {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let payloadByteCount: UInt64 = try reader.integer()
        let digest = try reader.digest()
        let offset: UInt64 = try reader.integer()
        let byteCount: UInt64 = try reader.integer()
        let (end, overflow) = offset.addingReportingOverflow(byteCount)
        guard !overflow, end <= payloadByteCount else { throw .malformed(reader.type, "a range beyond the payload") }
        self.init(payloadByteCount: payloadByteCount, payloadDigest: digest, range: offset..<end)
    }
}

extension RecordQuery {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let recordID = try reader.recordID()
        self.init(recordID: recordID, timeoutMilliseconds: try reader.integer())
    }
}

extension HeadBegin {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let payloadByteCount: UInt64 = try reader.integer()
        let digest = try reader.digest()
        let metadataByteCount: UInt32 = try reader.integer()
        let metadata = reader.rest()
        guard metadata.readableBytes <= metadataByteCount else {
            throw .malformed(reader.type, "more metadata than declared")
        }
        guard metadataByteCount <= PutRequest.maximumMetadataByteCount else {
            throw .malformed(reader.type, "metadata of \(metadataByteCount) bytes")
        }
        self.init(
            result: HeadResult(metadata: metadata, payloadByteCount: payloadByteCount, payloadDigest: digest),
            metadataByteCount: Int(metadataByteCount)
        )
    }
}

extension ListRequest {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let number: UInt16 = try reader.integer()
        guard let group = PlacementGroup(rawValue: number) else {
            throw .malformed(reader.type, "the group \(number), which is out of range")
        }
        let hasAfter = try reader.claim()
        let after = try reader.recordID()
        let limit: UInt32 = try reader.integer()
        guard limit >= 1, limit <= Self.maximumCount else {
            throw .malformed(reader.type, "a limit of \(limit); 1 ... \(Self.maximumCount) are allowed")
        }
        self.init(
            group: group,
            after: hasAfter ? after : nil,
            limit: Int(limit),
            timeoutMilliseconds: try reader.integer()
        )
    }
}

extension NodeStatusReport {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let recordCount: UInt64 = try reader.integer()
        let usedBytes: UInt64 = try reader.integer()
        let freeBytes: UInt64 = try reader.integer()
        let acceptsWrites = try reader.claim()
        let isUncertain = try reader.claim()
        self.init(
            recordCount: recordCount,
            usedBytes: usedBytes,
            freeBytes: freeBytes,
            acceptsWrites: acceptsWrites,
            isUncertain: isUncertain,
            reason: try reader.text(),
            scrub: reader.bytes.readableBytes > 0 ? try ScrubStatus(reading: &reader) : nil,
            capacity: reader.bytes.readableBytes > 0 ? try NodeCapacity(reading: &reader) : nil,
            foregroundRequestCount: reader.bytes.readableBytes > 0 ? try reader.integer() as UInt64 : nil
        )
    }
}

extension NodeCapacity {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let byteCount: UInt64 = try reader.integer()
        self.init(byteCount: byteCount, weight: try reader.integer())
    }
}

extension ScrubStatus {
    fileprivate init(reading reader: inout PayloadReader) throws(ReplicationError) {
        let quarantinedCount: UInt64 = try reader.integer()
        let seconds: UInt64 = try reader.integer()
        self.init(quarantinedCount: quarantinedCount, oldestUnverifiedSeconds: seconds == .max ? nil : seconds)
    }
}

extension PayloadReader {
    mutating func putOutcome() throws(ReplicationError) -> PutOutcome {
        guard let outcome = PutOutcome(rawValue: try integer()) else { throw .malformed(type, "an unknown outcome") }
        return outcome
    }
}
