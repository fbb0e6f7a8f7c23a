// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import ReplicationProtocol

/// The fields of a message by name, in the notation of the golden vectors (docs/replication-protocol.md, section 7).
///
/// What another decoder has to say of the same bytes.
struct MessageFields {
    private(set) var all: [String: String] = [:]

    init(_ message: Message) {
        switch message {
        case .hello(let hello): add(hello)
        case .helloAck(let ack): add(ack)
        case .ping(let token), .pong(let token): add("token", token)
        case .goAway(let goAway):
            add("last stream", goAway.lastStreamID)
            add("code", goAway.code)
            add("text", text: goAway.message)
        case .credit(let byteCount): add("bytes", byteCount)
        case .cancel, .verifyResult: break
        case .error(let error):
            add("code", error.code)
            add("retry", error.retry.goldenName)
            add("text", text: error.message)
        case .putBegin(let begin): add(begin)
        case .metadata(let bytes), .data(let bytes): add("bytes", bytes: bytes)
        case .putCommit(let byteCount): add("payload length", byteCount)
        case .putAck(let outcome): add("outcome", outcome.goldenName)
        case .get(let request):
            add("record", record: request.recordID)
            add("timeout", request.timeoutMilliseconds)
            add("offset", request.range?.lowerBound ?? 0)
            add("length", request.range.map { $0.upperBound - $0.lowerBound } ?? .max)
            add("credit", request.credit)
        case .getBegin(let begin):
            add("payload length", begin.payloadByteCount)
            add("payload digest", digest: begin.payloadDigest)
            add("offset", begin.range.lowerBound)
            add("length", begin.range.upperBound - begin.range.lowerBound)
        case .head(let query), .verify(let query):
            add("record", record: query.recordID)
            add("timeout", query.timeoutMilliseconds)
        case .headResult(let head): add(head)
        case .list(let request):
            add("group", request.group.rawValue)
            add("after", record: request.after)
            add("limit", request.limit)
            add("timeout", request.timeoutMilliseconds)
        case .listResult(let ids):
            add("ids", text: ids.map { Self.hex($0.bytes) }.joined(separator: " "))
        case .places(let request):
            add("timeout", request.timeoutMilliseconds)
            add("ids", text: request.recordIDs.map { Self.hex($0.bytes) }.joined(separator: " "))
        case .placesResult(let places):
            add("places", text: places.map { Self.text(of: $0) }.joined(separator: " "))
        case .status(let timeoutMilliseconds): add("timeout", timeoutMilliseconds)
        case .statusResult(let report): add(report)
        case .amend(let request):
            add("timeout", request.timeoutMilliseconds)
            add(request.stamp)
            add("amendment", Self.text(of: request.amendment))
        case .amendResult(let outcome), .pullResult(let outcome): add("outcome", outcome.goldenName)
        case .amendments(let request):
            add("first", record: request.first)
            add("first term", request.firstOrder.term.rawValue)
            add("first sequence", request.firstOrder.sequence)
            add("last", record: request.last)
            add("limit", request.limit)
            add("timeout", request.timeoutMilliseconds)
        case .amendmentsResult(let page):
            add("has more", claim: page.hasMore)
            add("is complete", claim: page.isComplete)
            add("amendments", text: page.amendments.map(Self.text).joined(separator: " "))
        case .digest(let request):
            add("prefix", record: request.prefix)
            add("timeout", request.timeoutMilliseconds)
            add("prefix bits", request.prefixBitCount)
            add("split bits", request.splitBitCount)
        case .digestResult(let parts):
            add("parts", text: parts.map { "\($0.recordCount)/\($0.digest)" }.joined(separator: " "))
        case .pull(let request): add(request)
        case .pullProgress(let progress):
            add("received", progress.receivedByteCount)
            add("payload length", progress.payloadByteCount)
        case .purgePermit(let request):
            add("permit", Self.hex(high: request.permit.high, low: request.permit.low))
            add("timeout", request.timeoutMilliseconds)
            add(request.stamp)
            add("retired before", request.retiredBeforeMilliseconds)
            add("at most", request.maximumSegmentCount)
        case .purgeResult(let result):
            add("purged", result.purgedSegmentCount)
            add("remaining", result.remainingSegmentCount)
        case .drop(let request):
            add("permit", Self.hex(high: request.permit.high, low: request.permit.low))
            add("timeout", request.timeoutMilliseconds)
            add(request.stamp)
            add("sequence", request.sequence)
            let items = request.items.map {
                "\(Self.hex($0.recordID.bytes))/\($0.payloadDigest)/\($0.isHeldElsewhere ? 1 : 0)"
            }
            add("records", text: items.joined(separator: " "))
        case .dropResult(let outcomes):
            add("outcomes", text: outcomes.map { "\($0.rawValue)" }.joined(separator: " "))
        case .buildPack(let request):
            add(request.reference)
            add("timeout", request.timeoutMilliseconds)
            add("part", request.part)
            add("parts", request.partCount)
            add(request.stamp)
            add("created", text: "\(request.createdAtMilliseconds)")
            let sources = request.sources.map {
                "\(Self.hex(high: $0.nodeID.high, low: $0.nodeID.low))/\($0.host)/\($0.port)"
            }
            add("sources", text: sources.joined(separator: " "))
            add("records", text: request.records.map { Self.hex($0.bytes) }.joined(separator: " "))
        case .buildPackResult(let pack):
            add("outcome", pack.outcome.goldenName)
            add("length", pack.byteCount)
            add("digest", digest: pack.digest)
        case .verifyPack(let request):
            add(request.reference)
            add("timeout", request.timeoutMilliseconds)
            add(request.stamp)
            add("length", request.byteCount)
            add("digest", digest: request.digest)
        case .verifyPackResult: break
        case .recall(let request):
            add(request.reference)
            add("timeout", request.timeoutMilliseconds)
            add(request.stamp)
            add("length", request.byteCount)
            add("digest", digest: request.digest)
            add("records", text: request.records.map { Self.hex($0.bytes) }.joined(separator: " "))
        case .recallResult(let outcomes):
            add("outcomes", text: outcomes.map { "\($0.rawValue)" }.joined(separator: " "))
        case .removePack(let request):
            add(request.reference)
            add("timeout", request.timeoutMilliseconds)
            add(request.stamp)
        case .removePackResult: break
        case .map(let request):
            add("timeout", request.timeoutMilliseconds)
            add(request.stamp)
            add("is member", claim: request.isMember)
        case .mapResult(let stamp): add(stamp)
        case .damage(let request):
            add(request.first)
            add("limit", request.limit)
            add("timeout", request.timeoutMilliseconds)
        case .damageResult(let report):
            add("has more", claim: report.next != nil)
            add("is complete", claim: report.isComplete)
            add(report.next ?? .start)
            add("unnamed", report.unnamed)
            add("missing", text: report.missing.map { Self.hex($0.bytes) }.joined(separator: " "))
        case .healed(let request):
            add("timeout", request.timeoutMilliseconds)
            add(request.stamp)
            add("reconciled", text: request.reconciled.map { "\($0)" } ?? "")
        case .healedResult(let remainingCount): add("remaining", remainingCount)
        }
    }

    // MARK: - Larger ones

    private mutating func add(_ hello: Hello) {
        add("lowest version", hello.versions.lowerBound)
        add("highest version", hello.versions.upperBound)
        add("features", hello.features)
        add("required features", hello.requiredFeatures)
        add("expected node", text: hello.expectedNodeID.map { Self.hex(high: $0.high, low: $0.low) } ?? "")
        add(hello.identity)
    }

    private mutating func add(_ ack: HelloAck) {
        add("version", ack.version)
        add("features", ack.features)
        add("stream credit", ack.limits.streamCredit)
        add("connection credit", ack.limits.connectionCredit)
        add("maximum streams", ack.limits.maximumStreams)
        add("idle timeout", ack.limits.idleTimeoutMilliseconds)
        add(ack.identity)
    }

    private mutating func add(_ identity: HelloIdentity) {
        add("cluster", Self.hex(high: identity.clusterID.high, low: identity.clusterID.low))
        add("node", Self.hex(high: identity.nodeID.high, low: identity.nodeID.low))
        add("incarnation", identity.incarnation)
        add("role", "\(identity.role)")
        add("map epoch", identity.mapEpoch.rawValue)
        add("term", identity.term.rawValue)
        add("site", text: identity.domain.site)
        add("rack", text: identity.domain.rack)
        add("host", text: identity.domain.host)
        add("software", text: identity.software)
    }

    private mutating func add(_ begin: PutBegin) {
        add("record", record: begin.request.recordID)
        add("timeout", begin.timeoutMilliseconds)
        add("record type", begin.request.recordType)
        add("map epoch", begin.request.mapEpoch.rawValue)
        add("term", text: begin.request.term.map { "\($0.rawValue)" } ?? "")
        add("payload length", begin.request.payloadByteCount)
        add("payload digest", digest: begin.request.payloadDigest)
        add("metadata length", begin.metadataByteCount)
        add("metadata", bytes: begin.request.metadata)
    }

    private mutating func add(_ head: HeadBegin?) {
        add("there is", claim: head != nil)
        guard let head else { return }
        add("payload length", head.result.payloadByteCount)
        add("payload digest", digest: head.result.payloadDigest)
        add("metadata length", head.metadataByteCount)
        add("metadata", bytes: head.result.metadata)
    }

    private mutating func add(_ report: NodeStatusReport) {
        add("records", report.recordCount)
        add("used bytes", report.usedBytes)
        add("free bytes", report.freeBytes)
        add("accepts writes", claim: report.acceptsWrites)
        add("is uncertain", claim: report.isUncertain)
        add("reason", text: report.reason)
        guard let scrub = report.scrub else { return }
        add("quarantined", scrub.quarantinedCount)
        add("oldest unverified", text: scrub.oldestUnverifiedSeconds.map { "\($0)" } ?? "")
        guard let capacity = report.capacity else { return }
        add("capacity", capacity.byteCount)
        add("weight", capacity.weight)
        guard let count = report.foregroundRequestCount else { return }
        add("foreground requests", count)
    }

    private mutating func add(_ stamp: OrderStamp) {
        add("map epoch", stamp.mapEpoch.rawValue)
        add("term", stamp.term.rawValue)
    }

    private mutating func add(_ cursor: DamageCursor) {
        add("disk", cursor.disk)
        add("segment", cursor.segment)
        add("offset", cursor.offset)
        add("after", record: cursor.after)
    }

    private mutating func add(_ request: PullRequest) {
        add("record", record: request.recordID)
        add("timeout", request.timeoutMilliseconds)
        add("record type", request.recordType)
        add(request.stamp)
        add("source", Self.hex(high: request.sourceNodeID.high, low: request.sourceNodeID.low))
        add("port", request.port)
        add("host", text: request.host)
    }

    /// Record id, term, sequence, kind, time, reference, payload, parted by slashes.
    private static func text(of amendment: RecordAmendment) -> String {
        let payload = GoldenFile.hex(amendment.payload)
        return [
            hex(amendment.recordID.bytes), "\(amendment.order.term.rawValue)", "\(amendment.order.sequence)",
            "\(amendment.kind.rawValue)", "\(amendment.keptDays)", "\(amendment.issuedAtMilliseconds)",
            hex(high: amendment.reference.high, low: amendment.reference.low), payload.isEmpty ? "none" : payload,
        ].joined(separator: "/")
    }

    // MARK: - Notation

    private mutating func add(_ name: String, _ value: some CustomStringConvertible) {
        all[name] = value.description
    }

    private mutating func add(_ name: String, claim: Bool) {
        all[name] = claim ? "yes" : "no"
    }

    private mutating func add(_ name: String, text: String) {
        all[name] = text.isEmpty ? "none" : text
    }

    private mutating func add(_ name: String, bytes: ByteBuffer) {
        add(name, text: GoldenFile.hex(bytes))
    }

    private mutating func add(_ reference: PackReference) {
        add("pack", Self.hex(high: reference.pack.high, low: reference.pack.low))
        add("study", text: reference.studyInstanceUID)
        add("place", text: reference.place)
    }

    private mutating func add(_ name: String, record: RecordID?) {
        add(name, text: record.map { Self.hex($0.bytes) } ?? "")
    }

    private mutating func add(_ name: String, digest: SHA256Digest) {
        let words = digest.words
        all[name] = Self.hex(high: words.0, low: words.1) + Self.hex(high: words.2, low: words.3)
    }

    private static func hex(high: UInt64, low: UInt64) -> String {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(high, low)
        return GoldenFile.hex(buffer)
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        GoldenFile.hex(ByteBuffer(bytes: bytes))
    }
}

extension ReplicationError.RetryClass {
    fileprivate var goldenName: String {
        switch self {
        case .sameNode: "same node"
        case .otherNode: "other node"
        case .later: "later"
        case .never: "never"
        }
    }
}

extension PutOutcome {
    fileprivate var goldenName: String {
        switch self {
        case .stored: "stored"
        case .alreadyStored: "already stored"
        }
    }
}

extension MessageFields {
    /// Disk/segment/offset/payload length/metadata length/record type.
    private static func text(of place: FilePlace?) -> String {
        guard let place else { return "-" }
        let lengths = "\(place.payloadByteCount)/\(place.metadataByteCount)"
        return "\(place.disk)/\(place.segment)/\(place.offset)/\(lengths)/\(place.recordType)"
    }
}
