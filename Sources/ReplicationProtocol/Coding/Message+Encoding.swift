// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore
import Placement

extension Message {
    /// Appends header and payload to `buffer`.
    ///
    /// DATA that is large is better sent as a header (``MessageHeader/init(data:flags:streamID:sequence:mapEpoch:)``)
    /// and the bytes themselves, which spares a copy.
    public func write(
        to buffer: inout ByteBuffer,
        flags: MessageFlags = [],
        streamID: UInt32,
        sequence: UInt32,
        mapEpoch: UInt32 = 0,
        version: UInt8 = ProtocolVersion.current
    ) {
        var payload = ByteBuffer()
        writePayload(to: &payload)
        precondition(
            payload.readableBytes <= type.maximumPayloadByteCount,
            "a \(type.name) larger than the protocol allows is refused before it is encoded"
        )
        MessageHeader(
            version: version,
            type: type,
            flags: flags,
            payloadByteCount: payload.readableBytes,
            streamID: streamID,
            sequence: sequence,
            mapEpoch: mapEpoch,
            payloadChecksum: CRC32C.checksum(of: payload)
        ).write(to: &buffer)
        buffer.writeBuffer(&payload)
    }

    /// Appends the payload alone.
    public func writePayload(to buffer: inout ByteBuffer) {
        switch self {
        case .hello(let hello): hello.write(to: &buffer)
        case .helloAck(let ack): ack.write(to: &buffer)
        case .ping(let token), .pong(let token): buffer.writeLittle(token)
        case .goAway(let goAway):
            buffer.writeLittle(goAway.lastStreamID)
            buffer.writeLittle(goAway.code.rawValue)
            buffer.writeText(goAway.message)
        case .credit(let byteCount), .putCommit(let byteCount): buffer.writeLittle(byteCount)
        case .cancel, .verifyResult, .verifyPackResult, .removePackResult: break
        case .error(let error):
            buffer.writeLittle(error.code.rawValue)
            buffer.writeInteger(error.retry.rawValue)
            buffer.writeText(error.message)
        case .putBegin(let begin): begin.write(to: &buffer)
        case .metadata(let bytes), .data(let bytes): buffer.writeImmutableBuffer(bytes)
        case .putAck(let outcome), .amendResult(let outcome), .pullResult(let outcome):
            buffer.writeInteger(outcome.rawValue)
        case .get(let request): request.write(to: &buffer)
        case .getBegin(let begin):
            buffer.writeLittle(begin.payloadByteCount)
            buffer.writeDigest(begin.payloadDigest)
            buffer.writeLittle(begin.range.lowerBound)
            buffer.writeLittle(begin.range.upperBound - begin.range.lowerBound)
        case .head(let query), .verify(let query):
            buffer.writeRecordID(query.recordID)
            buffer.writeLittle(query.timeoutMilliseconds)
        case .headResult(let head):
            buffer.writeClaim(head != nil)
            head?.write(to: &buffer)
        case .list(let request): request.write(to: &buffer)
        case .listResult(let ids):
            buffer.reserveCapacity(minimumWritableBytes: ids.count * RecordID.byteCount)
            for id in ids { buffer.writeRecordID(id) }
        case .places(let request): request.write(to: &buffer)
        case .placesResult(let places): for place in places { FilePlace.write(place, to: &buffer) }
        case .status(let timeoutMilliseconds): buffer.writeLittle(timeoutMilliseconds)
        case .statusResult(let report):
            buffer.writeLittle(report.recordCount)
            buffer.writeLittle(report.usedBytes)
            buffer.writeLittle(report.freeBytes)
            buffer.writeClaim(report.acceptsWrites)
            buffer.writeClaim(report.isUncertain)
            buffer.writeText(report.reason)
            guard let scrub = report.scrub else { return }
            buffer.writeLittle(scrub.quarantinedCount)
            buffer.writeLittle(scrub.oldestUnverifiedSeconds ?? .max)
            guard let capacity = report.capacity else { return }
            buffer.writeLittle(capacity.byteCount)
            buffer.writeLittle(capacity.weight)
            guard let count = report.foregroundRequestCount else { return }
            buffer.writeLittle(count)
        case .amend(let request): request.write(to: &buffer)
        case .amendments(let request): request.write(to: &buffer)
        case .amendmentsResult(let page): page.write(to: &buffer)
        case .digest(let request): request.write(to: &buffer)
        case .digestResult(let parts): for part in parts { part.write(to: &buffer) }
        case .pull(let request): request.write(to: &buffer)
        case .pullProgress(let progress): progress.write(to: &buffer)
        case .purgePermit(let request): request.write(to: &buffer)
        case .purgeResult(let result): result.write(to: &buffer)
        case .map(let request): request.write(to: &buffer)
        case .mapResult(let stamp): stamp.write(to: &buffer)
        case .damage(let request): request.write(to: &buffer)
        case .damageResult(let report): report.write(to: &buffer)
        case .healed(let request): request.write(to: &buffer)
        case .healedResult(let remainingCount): buffer.writeLittle(remainingCount)
        case .drop(let request): request.write(to: &buffer)
        case .dropResult(let outcomes): buffer.writeBytes(outcomes.map(\.rawValue))
        case .buildPack(let request): request.write(to: &buffer)
        case .buildPackResult(let pack): pack.write(to: &buffer)
        case .verifyPack(let request): request.write(to: &buffer)
        case .recall(let request): request.write(to: &buffer)
        case .recallResult(let outcomes): buffer.writeBytes(outcomes.map(\.rawValue))
        case .removePack(let request): request.write(to: &buffer)
        }
    }
}

extension MessageHeader {
    /// The header of a DATA (or METADATA) message whose payload is sent beside it.
    public init(
        _ type: MessageType = .data,
        payload: ByteBuffer,
        flags: MessageFlags,
        streamID: UInt32,
        sequence: UInt32,
        mapEpoch: UInt32
    ) {
        self.init(
            type: type,
            flags: flags,
            payloadByteCount: payload.readableBytes,
            streamID: streamID,
            sequence: sequence,
            mapEpoch: mapEpoch,
            payloadChecksum: CRC32C.checksum(of: payload)
        )
    }
}

extension HelloIdentity {
    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeIdentifier(high: clusterID.high, low: clusterID.low)
        buffer.writeIdentifier(high: nodeID.high, low: nodeID.low)
        buffer.writeLittle(incarnation)
        buffer.writeInteger(role.rawValue)
        buffer.writeLittle(mapEpoch.rawValue)
        buffer.writeLittle(term.rawValue)
        for text in [domain.site, domain.rack, domain.host, software] { buffer.writeShortText(text) }
    }
}

extension Hello {
    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(versions.lowerBound)
        buffer.writeLittle(versions.upperBound)
        buffer.writeLittle(features)
        buffer.writeLittle(requiredFeatures)
        buffer.writeIdentifier(high: expectedNodeID?.high ?? 0, low: expectedNodeID?.low ?? 0)
        identity.write(to: &buffer)
    }
}

extension HelloAck {
    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(version)
        buffer.writeLittle(features)
        buffer.writeLittle(limits.streamCredit)
        buffer.writeLittle(limits.connectionCredit)
        buffer.writeLittle(limits.maximumStreams)
        buffer.writeLittle(limits.idleTimeoutMilliseconds)
        identity.write(to: &buffer)
    }
}

extension PutBegin {
    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.reserveCapacity(minimumWritableBytes: Self.fixedByteCount + request.metadata.readableBytes)
        buffer.writeRecordID(request.recordID)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeInteger(request.recordType)
        buffer.writeClaim(request.term != nil)
        buffer.writeLittle(UInt16(0))
        buffer.writeLittle(request.mapEpoch.rawValue)
        buffer.writeLittle(request.term?.rawValue ?? 0)
        buffer.writeLittle(request.payloadByteCount)
        buffer.writeDigest(request.payloadDigest)
        buffer.writeLittle(UInt32(metadataByteCount))
        buffer.writeLittle(UInt32(0))
        buffer.writeImmutableBuffer(request.metadata)
    }
}

extension GetRequest {
    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeRecordID(recordID)
        buffer.writeLittle(timeoutMilliseconds)
        buffer.writeLittle(range?.lowerBound ?? 0)
        buffer.writeLittle(range.map { $0.upperBound - $0.lowerBound } ?? .max)
        buffer.writeLittle(credit)
    }
}

extension HeadBegin {
    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(result.payloadByteCount)
        buffer.writeDigest(result.payloadDigest)
        buffer.writeLittle(UInt32(metadataByteCount))
        buffer.writeImmutableBuffer(result.metadata)
    }
}

extension ListRequest {
    fileprivate func write(to buffer: inout ByteBuffer) {
        buffer.writeLittle(group.rawValue)
        buffer.writeClaim(after != nil)
        buffer.writeIdentifier(high: after?.high ?? 0, low: after?.low ?? 0)
        buffer.writeLittle(UInt32(limit))
        buffer.writeLittle(timeoutMilliseconds)
    }
}
