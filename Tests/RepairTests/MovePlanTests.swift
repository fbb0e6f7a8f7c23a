// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Repair
import ReplicationProtocol
import Testing

/// What is to be done next with a move, by table.
struct MovePlanTests {
    static func pack(
        _ state: ColdPack.State,
        part: Int = 1,
        verifiedAt: Int64? = nil,
        isAgain: Bool = false
    ) -> ColdPack {
        ColdPack(
            idHigh: 1,
            idLow: UInt64(part),
            move: 1,
            tier: "cold",
            place: "file:///cold",
            studyInstanceUID: "1.2",
            part: part,
            partCount: 2,
            state: state,
            createdAtMilliseconds: 0,
            verifiedAtMilliseconds: verifiedAt,
            isVerifiedAgain: isAgain,
            instanceCount: 1
        )
    }

    static func move(soakLeft: Duration? = nil, attempts: Int = 0) -> PackMove {
        PackMove(
            id: 1,
            studyInstanceUID: "1.2",
            tier: "cold",
            place: "file:///cold",
            keepsHot: false,
            attemptCount: attempts,
            soakLeft: soakLeft
        )
    }

    @Test func `the next step follows from the packs`() {
        let sound = Self.pack(.counted, verifiedAt: 5)
        let again = Self.pack(.counted, part: 2, verifiedAt: 9, isAgain: true)
        let doubted = Self.pack(.counted, part: 2)
        let (planned, placed) = (Self.pack(.planned, part: 2), Self.pack(.placed))
        let verified = Self.pack(.verified, part: 2, verifiedAt: 5)
        let table: [([ColdPack], Duration?, MovePlan.Step)] = [
            ([], nil, .select),
            ([placed, planned], nil, .build(planned)),
            ([placed, verified], nil, .verify(placed)),
            ([verified], nil, .count),
            ([sound, verified], .seconds(-5), .count),
            ([sound, verified], .seconds(5), .count),
            // Counted, and how long they have to stand is not known: it is entered.
            ([sound], nil, .count),
            ([sound], .seconds(5), .stand),
            ([sound], .zero, .verify(sound)),
            ([sound, again], .seconds(-1), .verify(sound)),
            // Somebody could not read from it: at once.
            ([sound, doubted], .seconds(5), .verify(doubted)),
            ([again], .seconds(-1), .finish),
        ]
        for (packs, soakLeft, step) in table {
            #expect(MovePlan.next(Self.move(soakLeft: soakLeft), packs) == step, "\(step)")
        }
    }

    @Test func `what comes of a failure depends on what failed and where`() {
        let (writer, other) = (NodeID(high: 0, low: 1), NodeID(high: 0, low: 2))
        let (build, verify) = (MovePlan.Step.build(Self.pack(.planned)), MovePlan.Step.verify(Self.pack(.placed)))
        let table: [(ReplicationError.Code, MovePlan.Step, NodeID, Int, MovePlan.Setback)] = [
            (.staleTerm, build, writer, 0, .rest),
            (.staleEpoch, verify, writer, 0, .rest),
            (.conflict, build, writer, 0, .replace),
            (.corrupt, build, writer, 0, .replace),
            (.diskFull, build, writer, 0, .wait),
            (.forbidden, build, writer, 0, .wait),
            (.unsupported, build, writer, 0, .wait),
            (.connectionLost, build, writer, 9, .wait),
            (.notFound, build, writer, 9, .wait),
            (.corrupt, verify, other, 0, .replace),
            // A node that does not see the same directory, or one that does not see it yet.
            (.notFound, verify, other, 0, .wait),
            (.notFound, verify, other, 3, .replace),
            (.notFound, verify, writer, 0, .replace),
            (.unknown, verify, other, 9, .wait),
            (.diskFailed, verify, writer, 9, .wait),
            (.offline, verify, other, 0, .waitForMedium), (.offline, verify, writer, 20, .waitForMedium),
            (.offline, build, writer, 20, .waitForMedium),
        ]
        for (code, step, node, attempt, setback) in table {
            let found = MovePlan.setback(
                ReplicationError(code, "so it is"),
                of: step,
                by: node,
                writtenBy: writer,
                attempt: attempt,
                limits: MoveLimits()
            )
            #expect(found == setback, "\(code) \(step)")
        }
    }

    @Test func `the node builds that has most, and at the next attempt another`() {
        let nodes = (1...4).map { NodeID(high: 0, low: UInt64($0)) }
        let sources = [
            PackSource(nodes: [nodes[0], nodes[1]], instanceCount: 3, byteCount: 100),
            PackSource(nodes: [nodes[1], nodes[2]], instanceCount: 1, byteCount: 0),
        ]
        func choice(_ answering: [NodeID], _ attempt: Int) -> [NodeID]? {
            MovePlan.builder(of: sources, answering: Set(answering), attempt: attempt).map { [$0.node] + $0.others }
        }
        #expect(choice(nodes, 0) == [nodes[1], nodes[0], nodes[2]])
        #expect(choice(nodes, 1) == [nodes[0], nodes[1], nodes[2]])
        #expect(choice(nodes, 3) == [nodes[1], nodes[0], nodes[2]])
        #expect(choice([nodes[2], nodes[3]], 0) == [nodes[2]])
        #expect(choice([nodes[3]], 0) == nil)
    }

    @Test func `another node than the writer reads a pack back, if there is one`() {
        let nodes = (1...3).map { NodeID(high: 0, low: UInt64($0)) }
        func verifier(_ writer: NodeID?, _ answering: [NodeID], _ attempt: Int) -> NodeID? {
            MovePlan.verifier(writtenBy: writer, answering: Set(answering), attempt: attempt)
        }
        #expect(verifier(nodes[0], nodes, 0) == nodes[1])
        #expect(verifier(nodes[0], nodes, 1) == nodes[2])
        #expect(verifier(nodes[0], nodes, 2) == nodes[0])
        #expect(verifier(nodes[0], [nodes[0]], 5) == nodes[0])
        #expect(verifier(nil, [nodes[2]], 0) == nodes[2])
        #expect(verifier(nil, [], 0) == nil)
    }

    @Test func `a study is spread over packs by records and bytes`() throws {
        var limits = MoveLimits()
        limits.recordsAPack = 3
        limits.bytesAPack = 100
        let ids = try (0..<6).map { try #require(RecordID(high: 0, low: $0)) }
        func parts(_ bytes: [Int64]) -> [[UInt64]] {
            let records = zip(ids, bytes).map { MovableRecord(record: $0, byteCount: $1) }
            return MovePlan.parts(records, limits: limits).map { $0.map(\.low) }
        }
        #expect(parts([]) == [])
        #expect(parts([1, 1, 1, 1]) == [[0, 1, 2], [3]])
        #expect(parts([60, 40, 1]) == [[0, 1], [2]])
        #expect(parts([101, 101]) == [[0], [1]])
        #expect(parts([1, 500, 1, 1, 1, 1]) == [[0], [1], [2, 3, 4], [5]])
        #expect(MoveLimits().recordsAPack <= BuildPackRequest.maximumRecordCount)
    }

    @Test func `failures rest longer and longer, and then need a person`() {
        let limits = MoveLimits()
        #expect(limits.pause(afterAttempt: 1) == .seconds(10))
        #expect(limits.pause(afterAttempt: 4) == .seconds(80))
        #expect(limits.pause(afterAttempt: 11) == .seconds(3600))
        #expect(limits.pause(afterAttempt: 12) == nil)
    }
}
