// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import ReplicationProtocol

/// One message with everything that goes into its header.
struct Sample: Sendable {
    let name: String
    let message: Message
    var flags: MessageFlags = []
    var streamID: UInt32 = 0
    var sequence: UInt32 = 0
    var mapEpoch: UInt32 = 42

    /// Header and payload.
    var bytes: ByteBuffer {
        var buffer = ByteBuffer()
        message.write(to: &buffer, flags: flags, streamID: streamID, sequence: sequence, mapEpoch: mapEpoch)
        return buffer
    }
}

/// Messages of every type: what the golden vectors are made of.
enum Samples {
    static let cluster = ClusterID(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff)
    static let ingest = NodeID(high: 0x0101_0101_0101_0101, low: 0x0202_0202_0202_0202)
    static let storage = NodeID(high: 0x0303_0303_0303_0303, low: 0x0404_0404_0404_0404)
    static let digest = SHA256Digest(
        words: (0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f, 0x1011_1213_1415_1617, 0x1819_1a1b_1c1d_1e1f)
    )

    static func record(_ low: UInt64) -> RecordID {
        RecordID(high: 0x03ff << 48 | 0xa1b2_c3d4_e5f6, low: low) ?? { preconditionFailure("group 1023 exists") }()
    }

    static let client = HelloIdentity(
        clusterID: cluster,
        nodeID: ingest,
        incarnation: 7,
        role: .ingest,
        domain: FailureDomain(site: "north", rack: "r1", host: "ingest-1"),
        mapEpoch: MapEpoch(rawValue: 42),
        term: Term(rawValue: 3),
        software: "varve 0.1"
    )
    static let server = HelloIdentity(
        clusterID: cluster,
        nodeID: storage,
        incarnation: 9,
        role: .storage,
        domain: FailureDomain(site: "north", rack: "r2", host: "größe-2"),
        mapEpoch: MapEpoch(rawValue: 42),
        term: Term(rawValue: 3),
        software: "varve 0.1"
    )
    static let limits = SessionLimits(
        streamCredit: 1 << 20,
        connectionCredit: 2 << 20,
        maximumStreams: 1024,
        idleTimeoutMilliseconds: 30_000
    )

    static func put(
        payloadByteCount: UInt64 = 526_000,
        metadata: ByteBuffer = ByteBuffer(string: "metadata"),
        term: Term? = nil
    ) -> PutRequest {
        PutRequest(
            recordID: record(0x1122_3344_5566_7788),
            recordType: 1,
            metadata: metadata,
            payloadByteCount: payloadByteCount,
            payloadDigest: digest,
            mapEpoch: MapEpoch(rawValue: 42),
            term: term
        )
    }

    /// Bytes that count up from 0, modulo 256.
    static func counting(_ count: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0) })
    }

    static let all: [Sample] = handshake + puts + gets + queries + orders + comparisons

    private static let handshake: [Sample] = [
        Sample(
            name: "HELLO",
            message: .hello(Hello(identity: client, features: 5, requiredFeatures: 0, expectedNodeID: storage))
        ),
        Sample(name: "HELLO to whoever answers", message: .hello(Hello(identity: client))),
        Sample(
            name: "HELLO-ACK",
            message: .helloAck(HelloAck(identity: server, version: 1, features: 1, limits: limits))
        ),
        Sample(name: "PING", message: .ping(token: 0x0102_0304_0506_0708), sequence: 1),
        Sample(name: "PONG", message: .pong(token: 0x0102_0304_0506_0708), sequence: 1),
        Sample(
            name: "GOAWAY",
            message: .goAway(GoAway(lastStreamID: 5, code: .shuttingDown, message: "the node is shutting down")),
            sequence: 2
        ),
        Sample(name: "CREDIT for the connection", message: .credit(byteCount: 526_000), sequence: 3),
        Sample(
            name: "ERROR for the connection",
            message: .error(ReplicationError(.wrongCluster, "this node belongs to another cluster")),
            sequence: 4
        ),
    ]

    private static let puts: [Sample] = [
        Sample(
            name: "PUT-BEGIN",
            message: .putBegin(PutBegin(put(), timeoutMilliseconds: 30_000)),
            streamID: 1
        ),
        Sample(
            name: "PUT-BEGIN with a term and more metadata to come",
            message: .putBegin(
                PutBegin(request: put(term: Term(rawValue: 3)), metadataByteCount: 20, timeoutMilliseconds: 0)
            ),
            streamID: 3
        ),
        Sample(
            name: "METADATA",
            message: .metadata(ByteBuffer(string: "and the rest")),
            flags: .unsolicited,
            streamID: 3,
            sequence: 1
        ),
        Sample(name: "DATA unsolicited", message: .data(counting(40)), flags: .unsolicited, streamID: 1, sequence: 1),
        Sample(name: "DATA on credit", message: .data(counting(300)), streamID: 1, sequence: 2),
        Sample(name: "CREDIT for a stream", message: .credit(byteCount: 1 << 20), streamID: 1),
        Sample(name: "PUT-COMMIT", message: .putCommit(payloadByteCount: 526_000), streamID: 1, sequence: 3),
        Sample(name: "PUT-ACK stored", message: .putAck(.stored), streamID: 1, sequence: 1),
        Sample(name: "PUT-ACK already stored", message: .putAck(.alreadyStored), streamID: 3),
        Sample(name: "CANCEL", message: .cancel, streamID: 3, sequence: 2),
        Sample(
            name: "ERROR for a stream",
            message: .error(ReplicationError(.overloaded, "zu viele Anfragen, später wieder", retry: .later)),
            streamID: 3,
            sequence: 1
        ),
    ]

    private static let gets: [Sample] = [
        Sample(
            name: "GET of everything",
            message: .get(GetRequest(recordID: record(9), range: nil, credit: 1 << 20, timeoutMilliseconds: 30_000)),
            streamID: 5
        ),
        Sample(
            name: "GET with head",
            message: .get(GetRequest(recordID: record(9), range: nil, credit: 1 << 20, timeoutMilliseconds: 30_000)),
            flags: MessageFlags(.repair).union(.withHead),
            streamID: 9
        ),
        Sample(
            name: "GET of a range",
            message: .get(GetRequest(recordID: record(9), range: 100..<300, credit: 200, timeoutMilliseconds: 1)),
            streamID: 7
        ),
        Sample(
            name: "GET-BEGIN",
            message: .getBegin(GetBegin(payloadByteCount: 526_000, payloadDigest: digest, range: 100..<300)),
            streamID: 7
        ),
    ]

    private static let queries: [Sample] = [
        Sample(
            name: "HEAD",
            message: .head(RecordQuery(recordID: record(9), timeoutMilliseconds: 500)),
            streamID: 9
        ),
        Sample(
            name: "HEAD-RESULT",
            message: .headResult(
                HeadBegin(
                    HeadResult(
                        metadata: ByteBuffer(string: "metadata"),
                        payloadByteCount: 526_000,
                        payloadDigest: digest
                    )
                )
            ),
            streamID: 9
        ),
        Sample(name: "HEAD-RESULT of no record", message: .headResult(nil), streamID: 11),
        Sample(
            name: "VERIFY",
            message: .verify(RecordQuery(recordID: record(9), timeoutMilliseconds: 500)),
            streamID: 13
        ),
        Sample(name: "VERIFY-RESULT", message: .verifyResult, streamID: 13),
        Sample(
            name: "LIST from the start",
            message: .list(ListRequest(group: record(0).group, after: nil, limit: 8192, timeoutMilliseconds: 500)),
            streamID: 15
        ),
        Sample(
            name: "LIST after a record",
            message: .list(ListRequest(group: record(0).group, after: record(9), limit: 1, timeoutMilliseconds: 500)),
            streamID: 17
        ),
        Sample(name: "LIST-RESULT", message: .listResult([record(9), record(10)]), streamID: 15),
        Sample(name: "LIST-RESULT of nothing", message: .listResult([]), streamID: 17),
        Sample(
            name: "PLACES",
            message: .places(PlacesRequest(recordIDs: [record(9), record(10)], timeoutMilliseconds: 500)),
            streamID: 21
        ),
        Sample(
            name: "PLACES-RESULT",
            message: .placesResult([
                FilePlace(
                    disk: 2,
                    segment: 7,
                    offset: 4096,
                    payloadByteCount: 524_500,
                    metadataByteCount: 700,
                    recordType: 1
                ),
                nil,
            ]),
            streamID: 21
        ),
        Sample(name: "STATUS", message: .status(timeoutMilliseconds: 500), streamID: 19),
        Sample(
            name: "STATUS-RESULT",
            message: .statusResult(
                NodeStatusReport(
                    recordCount: 476_000_000,
                    usedBytes: 48 << 40,
                    freeBytes: 1 << 30,
                    acceptsWrites: false,
                    isUncertain: true,
                    reason: "the disk is full"
                )
            ),
            streamID: 19
        ),
        Sample(
            name: "STATUS-RESULT with what scrubbing found",
            message: .statusResult(
                NodeStatusReport(
                    recordCount: 3,
                    usedBytes: 4096,
                    freeBytes: 8192,
                    acceptsWrites: true,
                    scrub: ScrubStatus(quarantinedCount: 2, oldestUnverifiedSeconds: 1_209_600)
                )
            ),
            streamID: 19
        ),
        Sample(
            name: "STATUS-RESULT of a node that has never scrubbed",
            message: .statusResult(
                NodeStatusReport(
                    recordCount: 3,
                    usedBytes: 4096,
                    freeBytes: 8192,
                    acceptsWrites: true,
                    scrub: ScrubStatus(quarantinedCount: 0)
                )
            ),
            streamID: 19
        ),
        Sample(
            name: "STATUS-RESULT with the node's capacity",
            message: .statusResult(
                NodeStatusReport(
                    recordCount: 3,
                    usedBytes: 4096,
                    freeBytes: 8192,
                    acceptsWrites: true,
                    scrub: ScrubStatus(quarantinedCount: 0, oldestUnverifiedSeconds: 60),
                    capacity: NodeCapacity(byteCount: 12 << 40, weight: 12_288)
                )
            ),
            streamID: 19
        ),
        Sample(
            name: "STATUS-RESULT with the node's requests",
            message: .statusResult(
                NodeStatusReport(
                    recordCount: 3,
                    usedBytes: 4096,
                    freeBytes: 8192,
                    acceptsWrites: true,
                    scrub: ScrubStatus(quarantinedCount: 0),
                    capacity: NodeCapacity(byteCount: 12 << 40, weight: 0),
                    foregroundRequestCount: 1 << 33
                )
            ),
            streamID: 19
        ),
    ]
}
