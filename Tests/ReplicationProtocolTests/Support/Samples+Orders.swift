// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import ReplicationProtocol

/// Messages of what a coordinator orders, and of nodes that compare what they have.
extension Samples {
    static let stamp = OrderStamp(term: Term(rawValue: 3), mapEpoch: MapEpoch(rawValue: 42))
    static let permit = ReferenceID(high: 0x0a0b_0c0d_0e0f_1011, low: 0x1213_1415_1617_1819)

    static func amendment(
        _ kind: RecordAmendment.Kind = .hold,
        record: RecordID = record(9),
        term: UInt64 = 2,
        sequence: UInt64 = 1,
        issuedAt: Int64 = 1_790_000_000_000,
        keptDays: UInt16 = 0,
        payload: ByteBuffer = ByteBuffer(string: "trial 7")
    ) -> RecordAmendment {
        RecordAmendment(
            recordID: record,
            kind: kind,
            order: RecordAmendment.Order(term: Term(rawValue: term), sequence: sequence),
            reference: permit,
            issuedAtMilliseconds: issuedAt,
            keptDays: keptDays,
            payload: payload
        )
    }

    static func digest(prefix: RecordID, bits: Int, split: Int) -> DigestRequest {
        DigestRequest(prefix: prefix, prefixBitCount: bits, splitBitCount: split, timeoutMilliseconds: 5000)
            ?? { preconditionFailure("the sample's numbers are in range") }()
    }

    static let pull = PullRequest(
        recordID: record(9),
        stamp: stamp,
        sourceNodeID: storage,
        host: "größe-2.example.org",
        port: 11_112,
        timeoutMilliseconds: 60_000
    )
    static let purge = PurgeRequest(
        permit: permit,
        stamp: stamp,
        retiredBeforeMilliseconds: 1_790_000_000_000,
        maximumSegmentCount: 1 << 30,
        timeoutMilliseconds: 60_000
    )

    static let drop = DropRequest(
        permit: permit,
        stamp: stamp,
        sequence: 7,
        items: [
            DropRequest.Item(recordID: record(9), payloadDigest: digest),
            DropRequest.Item(recordID: record(10), payloadDigest: digest, isHeldElsewhere: true),
        ],
        timeoutMilliseconds: 60_000
    )

    static let packReference = PackReference(
        pack: ReferenceID(high: 0x0123_4567_89ab_4def, low: 0x8123_4567_89ab_cdef),
        studyInstanceUID: "1.2.840.99.1",
        place: "file:///srv/varve/cold"
    )
    static let buildPack = BuildPackRequest(
        reference: packReference,
        stamp: stamp,
        part: 1,
        partCount: 2,
        createdAtMilliseconds: 1_790_000_000_000,
        sources: [
            BuildPackRequest.Source(nodeID: NodeID(high: 3, low: 4), host: "größe-2.example.org", port: 11_112),
            BuildPackRequest.Source(nodeID: NodeID(high: 5, low: 6), host: "10.0.0.2", port: 7042),
        ],
        records: [record(9), record(10)],
        timeoutMilliseconds: 60_000
    )
    static let verifyPack = VerifyPackRequest(
        reference: packReference,
        stamp: stamp,
        byteCount: 1 << 33,
        digest: digest,
        timeoutMilliseconds: 60_000
    )

    static let removePack = RemovePackRequest(
        reference: packReference,
        stamp: stamp,
        timeoutMilliseconds: 60_000
    )

    static let recall = RecallRequest(
        reference: packReference,
        stamp: stamp,
        byteCount: 1 << 33,
        digest: digest,
        records: [record(9), record(10)],
        timeoutMilliseconds: 60_000
    )

    static let cursor = DamageCursor(disk: 1, segment: 12, offset: 1 << 30, after: record(9))

    static let orders: [Sample] = [
        Sample(
            name: "STATUS as control traffic",
            message: .status(timeoutMilliseconds: 500),
            flags: MessageFlags(.control),
            streamID: 19
        ),
        Sample(
            name: "GET for a repair",
            message: .get(GetRequest(recordID: record(9), range: nil, credit: 1 << 20, timeoutMilliseconds: 0)),
            flags: MessageFlags(.repair),
            streamID: 19
        ),
        Sample(
            name: "VERIFY for a scrub",
            message: .verify(RecordQuery(recordID: record(9), timeoutMilliseconds: 500)),
            flags: MessageFlags(.scrub),
            streamID: 19
        ),
        Sample(
            name: "AMEND with a tombstone",
            message: .amend(
                AmendRequest(
                    amendment(.tombstone, term: 3, payload: ByteBuffer(string: "retention is over")),
                    stamp,
                    timeoutMilliseconds: 5000
                )
            ),
            streamID: 21
        ),
        Sample(
            name: "AMEND with a hold of an earlier term",
            message: .amend(AmendRequest(amendment(), stamp, timeoutMilliseconds: 5000)),
            streamID: 23
        ),
        Sample(
            name: "AMEND with the end of a hold, before 1970",
            message: .amend(
                AmendRequest(amendment(.release, sequence: 2, issuedAt: -1, payload: ByteBuffer()), stamp)
            ),
            streamID: 25
        ),
        Sample(name: "AMEND-RESULT", message: .amendResult(.stored), streamID: 25),
        Sample(
            name: "PULL",
            message: .pull(pull),
            flags: MessageFlags(.repair),
            streamID: 29
        ),
        Sample(
            name: "PULL-PROGRESS",
            message: .pullProgress(PullProgress(receivedByteCount: 262_144, payloadByteCount: 526_000)),
            streamID: 29
        ),
        Sample(name: "PULL-RESULT", message: .pullResult(.alreadyStored), streamID: 29, sequence: 1),
        Sample(name: "PURGE-PERMIT", message: .purgePermit(purge), streamID: 31),
        Sample(
            name: "PURGE-RESULT",
            message: .purgeResult(PurgeResult(purgedSegmentCount: 1 << 29, remainingSegmentCount: 4096)),
            streamID: 31
        ),
        Sample(name: "DROP", message: .drop(drop), flags: MessageFlags(.repair), streamID: 31),
        Sample(
            name: "DROP of nothing",
            message: .drop(DropRequest(permit: permit, stamp: stamp, sequence: 8, items: [])),
            streamID: 31
        ),
        Sample(name: "DROP-RESULT", message: .dropResult(RecordDropOutcome.allCases), streamID: 31),
        Sample(name: "BUILD-PACK", message: .buildPack(buildPack), flags: MessageFlags(.repair), streamID: 31),
        Sample(
            name: "BUILD-PACK-RESULT",
            message: .buildPackResult(BuiltPack(outcome: .stored, byteCount: 1 << 33, digest: digest)),
            streamID: 31,
            sequence: 1
        ),
        Sample(name: "VERIFY-PACK", message: .verifyPack(verifyPack), flags: MessageFlags(.repair), streamID: 31),
        Sample(name: "VERIFY-PACK-RESULT", message: .verifyPackResult, streamID: 31),
        Sample(name: "RECALL", message: .recall(recall), flags: MessageFlags(.repair), streamID: 31),
        Sample(name: "RECALL-RESULT", message: .recallResult(RecallOutcome.allCases), streamID: 31, sequence: 1),
        Sample(name: "REMOVE-PACK", message: .removePack(removePack), flags: MessageFlags(.repair), streamID: 31),
        Sample(name: "REMOVE-PACK-RESULT", message: .removePackResult, streamID: 31),
        Sample(
            name: "MAP",
            message: .map(MapRequest(stamp: stamp, isMember: true, timeoutMilliseconds: 500)),
            flags: MessageFlags(.control),
            streamID: 33
        ),
        Sample(
            name: "AMEND of a deletion that can be taken back for longer",
            message: .amend(AmendRequest(amendment(.tombstone, keptDays: 0x015a), stamp, timeoutMilliseconds: 5000)),
            flags: MessageFlags(.control),
            streamID: 31
        ),
        Sample(name: "MAP-RESULT", message: .mapResult(stamp), streamID: 33),
        Sample(
            name: "DAMAGE from the start",
            message: .damage(DamageRequest(first: .start, limit: 4096, timeoutMilliseconds: 5000)),
            flags: MessageFlags(.repair),
            streamID: 43
        ),
        Sample(
            name: "DAMAGE, continued",
            message: .damage(DamageRequest(first: cursor, limit: 1, timeoutMilliseconds: 5000)),
            streamID: 45
        ),
        Sample(
            name: "DAMAGE-RESULT",
            message: .damageResult(
                DamageReport(missing: [record(9), record(10)], isComplete: true, next: cursor, unnamed: 1 << 63 | 7)
            ),
            streamID: 43
        ),
        Sample(
            name: "DAMAGE-RESULT, the last",
            message: .damageResult(DamageReport(missing: [], isComplete: false, next: nil, unnamed: 7)),
            streamID: 45
        ),
        Sample(
            name: "HEALED",
            message: .healed(HealedRequest(stamp: stamp, reconciled: nil, timeoutMilliseconds: 5000)),
            streamID: 47
        ),
        Sample(
            name: "HEALED after a comparison",
            message: .healed(HealedRequest(stamp: stamp, reconciled: 7, timeoutMilliseconds: 5000)),
            streamID: 49
        ),
        Sample(name: "HEALED-RESULT", message: .healedResult(remainingCount: 3), streamID: 47),
    ]

    static let comparisons: [Sample] = [
        Sample(
            name: "AMENDMENTS of one record",
            message: .amendments(AmendmentsRequest(first: record(9), last: record(9), timeoutMilliseconds: 500)),
            streamID: 35
        ),
        Sample(
            name: "AMENDMENTS of some records, continued",
            message: .amendments(
                AmendmentsRequest(
                    first: record(9),
                    firstOrder: RecordAmendment.Order(term: Term(rawValue: 2), sequence: 3),
                    last: record(.max),
                    limit: 1,
                    timeoutMilliseconds: 500
                )
            ),
            streamID: 37
        ),
        Sample(
            name: "AMENDMENTS-RESULT",
            message: .amendmentsResult(
                AmendmentPage(
                    [
                        amendment(),
                        amendment(.release, sequence: 2, payload: ByteBuffer()),
                        amendment(RecordAmendment.Kind(rawValue: 0x7fff), record: record(10), payload: counting(4)),
                    ],
                    hasMore: true
                )
            ),
            streamID: 35
        ),
        Sample(
            name: "AMENDMENTS-RESULT of what cannot be read",
            message: .amendmentsResult(AmendmentPage([], hasMore: false, isComplete: false)),
            streamID: 37
        ),
        Sample(
            name: "DIGEST of a group",
            message: .digest(digest(prefix: record(0), bits: 16, split: 0)),
            flags: MessageFlags(.scrub),
            streamID: 39
        ),
        Sample(
            name: "DIGEST of a prefix, split",
            message: .digest(digest(prefix: record(0), bits: 61, split: 2)),
            streamID: 41
        ),
        Sample(
            name: "DIGEST-RESULT",
            message: .digestResult([DigestPart(recordCount: 2, digest: digest)]),
            streamID: 39
        ),
        Sample(name: "DIGEST-RESULT, split", message: .digestResult(splitDigest), streamID: 41),
    ]

    /// Three records, of which the second cannot be read, in the second and fourth part of a split.
    private static var splitDigest: [DigestPart] {
        let request = digest(prefix: record(0), bits: 64, split: 2)
        var accumulator = DigestAccumulator(request)
        accumulator.add(record(1 << 62), payloadDigest: digest)
        accumulator.add(record(1 << 62 | 5), payloadDigest: nil)
        accumulator.add(record(3 << 62 | 9), payloadDigest: digest)
        return accumulator.finish()
    }
}
