// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Orders and comparisons over a connection, and the fence that keeps old coordinators out.
@Suite(.timeLimit(.minutes(5)))
struct OrderTests {
    private static let record = TestRecord(1, byteCount: 1000)

    private static func run(
        _ service: FakeService = FakeService(),
        body: (FakeService, Loopback, ReplicationClient) async throws -> Void
    ) async throws {
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in try await body(service, loopback, client) }
        }
    }

    private static func tombstone(
        _ client: ReplicationClient,
        of record: UInt64 = 1,
        term: UInt64,
        epoch: UInt64 = 7
    ) async throws(ReplicationError) -> PutOutcome {
        let amendment = Orders.amendment(.tombstone, of: record, term: term)
        return try await client.amend(amendment, Orders.stamp(term, epoch: epoch))
    }

    // MARK: - Operations

    @Test func aTombstoneTakesARecordAway() async throws {
        try await Self.run { service, _, client in
            _ = try await client.put(Self.record.request, payload: Self.record.payload)
            #expect(try await Self.tombstone(client, term: 3) == .stored)
            let head = try await client.head(Self.record.request.recordID)
            #expect(head == nil)
            #expect(try await Self.tombstone(client, term: 3) == .alreadyStored)
            let amendments = service.state.withLockedValue { $0.amendments }
            #expect(amendments == [Orders.amendment(.tombstone, of: 1, term: 3)])
        }
    }

    @Test func amendmentsAreKeptByTheirNumber() async throws {
        let stamp = Orders.stamp(3)
        try await Self.run { _, _, client in
            // Two records, the first with three amendments, read in pages of two.
            let all = [(UInt64(1), UInt64(2)), (1, 9), (2, 1)].map { term, sequence in
                Orders.amendment(.hold, of: 1, term: term, sequence: sequence)
            }
            let other = Orders.amendment(.hold, of: 2, term: 0)
            for amendment in [other] + all.reversed() {
                #expect(try await client.amend(amendment, stamp) == .stored)
            }
            #expect(try await client.amend(all[0], stamp) == .alreadyStored)
            let another = Orders.amendment(.release, of: 1, term: 1, sequence: 2)
            let conflict = await failure(of: { () throws(ReplicationError) in
                try await client.amend(another, stamp)
            })
            #expect(conflict?.code == .conflict)
            let (first, last) = (TestRecord.id(0), TestRecord.id(.max))
            let page = try await client.amendments(from: first, to: last, limit: 2)
            #expect(page == AmendmentPage(Array(all[..<2]), hasMore: true))
            var next = page.amendments[1].order
            next.sequence += 1
            let rest = try await client.amendments(from: page.amendments[1].recordID, firstOrder: next, to: last)
            #expect(rest == AmendmentPage([all[2], other], hasMore: false))
        }
    }

    @Test func whatCannotBeSaidIsRefusedBeforeItIsSent() async throws {
        try await Self.run { service, _, client in
            try await client.waitUntilConnected()
            var large = Orders.amendment(.hold, of: 1)
            large.payload = ByteBuffer(repeating: 0, count: RecordAmendment.maximumPayloadByteCount + 1)
            let tooLarge = await failure(of: { [large] () throws(ReplicationError) in
                try await client.amend(large, Orders.stamp(3))
            })
            #expect(tooLarge?.code == .tooLarge)
            let backwards = await failure(of: { () throws(ReplicationError) in
                try await client.amendments(from: TestRecord.id(2), to: TestRecord.id(1))
            })
            #expect(backwards?.code == .invalidRequest)
            let wide = await failure(of: { () throws(ReplicationError) in
                try await client.digest(prefix: TestRecord.id(0), prefixBitCount: 8)
            })
            #expect(wide?.code == .invalidRequest)
            #expect(service.state.withLockedValue { $0.amendments.isEmpty })
            _ = try await client.ping()
        }
    }

    @Test func twoNodesCompareAGroup() async throws {
        let records = (1...20).map { TestRecord($0, byteCount: 10) }
        try await Self.run { _, _, one in
            try await Self.run { _, _, other in
                for record in records {
                    _ = try await one.put(record.request, payload: record.payload)
                    if record.request.recordID != TestRecord.id(7) {
                        _ = try await other.put(record.request, payload: record.payload)
                    }
                }
                let group = TestRecord.id(0)
                #expect(try await one.digest(prefix: group).map(\.recordCount) == [20])
                #expect(try await one.digest(prefix: group) != other.digest(prefix: group))
                // The last byte of the ids tells them apart.
                let ours = try await one.digest(prefix: group, prefixBitCount: 120, splitBitCount: 8)
                let theirs = try await other.digest(prefix: group, prefixBitCount: 120, splitBitCount: 8)
                #expect(ours.indices.filter { ours[$0] != theirs[$0] } == [7])
            }
        }
    }

    @Test func aPermitIsPassedOn() async throws {
        try await Self.run { service, _, client in
            let result = try await client.purge(
                permit: Orders.permit,
                Orders.stamp(3),
                retiredBeforeMilliseconds: 1000,
                maximumSegmentCount: 1 << 30
            )
            #expect(result == PurgeResult(purgedSegmentCount: 1 << 30, remainingSegmentCount: 1))
            #expect(service.state.withLockedValue { $0.purges.map(\.retiredBeforeMilliseconds) } == [1000])
        }
    }

    @Test func whatAServiceDoesNotOfferIsUnsupported() async throws {
        try await Loopback.run(PlainService()) { loopback in
            try await loopback.withClient { client in
                let id = TestRecord.id(1)
                let errors = [
                    await failure(of: { () throws(ReplicationError) in
                        try await Self.tombstone(client, term: 0, epoch: 0)
                    }),
                    await failure(of: { () throws(ReplicationError) in
                        try await client.amend(Orders.amendment(.hold, of: 1), Orders.stamp(0, epoch: 0))
                    }),
                    await failure(of: { () throws(ReplicationError) in
                        try await client.amendments(from: id, to: id)
                    }),
                    await failure(of: { () throws(ReplicationError) in
                        try await client.digest(prefix: id)
                    }),
                    await failure(of: { () throws(ReplicationError) in
                        try await client.pull(id, Orders.stamp(0, epoch: 0), from: Loopback.node, host: "x", port: 1)
                    }),
                    await failure(of: { () throws(ReplicationError) in
                        try await client.purge(
                            permit: Orders.permit,
                            Orders.stamp(0, epoch: 0),
                            retiredBeforeMilliseconds: 0,
                            maximumSegmentCount: 0
                        )
                    }),
                ]
                #expect(errors.map(\.?.code) == Array(repeating: .unsupported, count: 6))
                #expect(errors.map(\.?.retry) == Array(repeating: .never, count: 6))
                _ = try await client.ping()
            }
        }
    }

    // MARK: - The fence

    @Test func anOlderTermIsStaleForEveryone() async throws {
        try await Self.run { service, loopback, client in
            _ = try await client.put(Self.record.request, payload: Self.record.payload)
            #expect(try await Self.tombstone(client, of: 2, term: 4) == .stored)
            #expect(service.state.withLockedValue { $0.position.term.rawValue } == 4)
            try await loopback.withClient { other in
                // A connection of its own, which has heard of the term in HELLO-ACK.
                try await other.waitUntilConnected()
                #expect(other.peer?.term.rawValue == 4)
                let stale = await failure(of: { () throws(ReplicationError) in
                    try await Self.tombstone(other, term: 3)
                })
                #expect(stale?.code == .staleTerm)
                #expect(stale?.retry == .never)
                let pull = await failure(of: { () throws(ReplicationError) in
                    try await other.pull(TestRecord.id(9), Orders.stamp(3), from: Loopback.node, host: "x", port: 1)
                })
                #expect(pull?.code == .staleTerm)
                // A hold protects, whoever asks for it.
                let hold = Orders.amendment(.hold, of: 1, term: 3, sequence: 2)
                #expect(try await other.amend(hold, Orders.stamp(3)) == .stored)
                let map = await failure(of: { () throws(ReplicationError) in
                    try await other.announceMap(Orders.stamp(3, epoch: 99), isMember: false)
                })
                #expect(map?.code == .staleTerm)
                var put = TestRecord(3, byteCount: 100).request
                put.term = Term(rawValue: 3)
                let (request, payload) = (put, TestRecord(3, byteCount: 100).payload)
                let stalePut = await failure(of: { () throws(ReplicationError) in
                    try await other.put(request, payload: payload)
                })
                #expect(stalePut?.code == .staleTerm)
            }
            #expect(try await client.head(Self.record.request.recordID) != nil)
        }
    }

    @Test func aTermOutlivesTheServer() async throws {
        let service = FakeService()
        try await Self.run(service) { _, _, client in
            _ = try await client.announceMap(Orders.stamp(4, epoch: 8), isMember: true)
        }
        try await Self.run(service) { _, _, client in
            let stale = await failure(of: { () throws(ReplicationError) in
                try await Self.tombstone(client, term: 3, epoch: 8)
            })
            #expect(stale?.code == .staleTerm)
            let old = await failure(of: { () throws(ReplicationError) in
                try await Self.tombstone(client, term: 4, epoch: 7)
            })
            #expect(old?.code == .staleEpoch)
        }
    }

    @Test func aTermThatCannotBeKeptIsNotObeyed() async throws {
        try await Self.run { service, _, client in
            _ = try await client.put(Self.record.request, payload: Self.record.payload)
            service.state.withLockedValue { $0.persistFailure = ReplicationError(.diskFailed, "no") }
            let error = await failure(of: { () throws(ReplicationError) in
                try await Self.tombstone(client, term: 4)
            })
            #expect(error?.code == .diskFailed)
            #expect(service.state.withLockedValue { $0.amendments.isEmpty })
            service.state.withLockedValue { $0.persistFailure = nil }
            #expect(try await Self.tombstone(client, term: 4) == .stored)
        }
    }

    @Test func aNewTermWaitsForWhatTheOldOneTakesAway() async throws {
        let service = FakeService(gate: Gate())
        try await Self.run(service) { _, _, client in
            async let first = Self.tombstone(client, of: 5, term: 0)
            await service.gate.arrived(1)
            async let second = Self.tombstone(client, of: 6, term: 4)
            // Once the new term has come, the old one is refused; until the first has ended, it does nothing.
            while await failure(of: { () throws(ReplicationError) in
                try await client.pull(TestRecord.id(9), Orders.stamp(0), from: Loopback.node, host: "x", port: 1)
            })?.code != .staleTerm {}
            #expect(service.gate.arrivedCount == 1)
            #expect(service.state.withLockedValue { $0.position.term.rawValue } == 0)
            service.gate.open()
            let outcomes = try await [first, second]
            #expect(outcomes == [.stored, .stored])
            #expect(service.state.withLockedValue { $0.position.term.rawValue } == 4)
        }
    }

    @Test func whoHasLeftTheMapTakesNoMoreUnderTheOldOne() async throws {
        try await Self.run { service, _, client in
            let known = try await client.announceMap(Orders.stamp(3, epoch: 8), isMember: false)
            #expect(known == Orders.stamp(3, epoch: 8))
            // The record's map has epoch 7.
            let error = await failure(of: { () throws(ReplicationError) in
                try await client.put(Self.record.request, payload: Self.record.payload)
            })
            #expect(error?.code == .staleEpoch)
            #expect(error?.retry == .later)
            // Large ones, too, before they cost anything.
            let large = TestRecord(2, byteCount: 20 << 20)
            let largeError = await failure(of: { () throws(ReplicationError) in
                try await client.put(large.request, payload: large.payload)
            })
            #expect(largeError?.code == .staleEpoch)
            #expect(service.state.withLockedValue { $0.putCount } == 0)
            _ = try await client.announceMap(Orders.stamp(3, epoch: 9), isMember: true)
            #expect(try await client.put(Self.record.request, payload: Self.record.payload) == .stored)
        }
    }
}

/// A service that offers the least.
private struct PlainService: ReplicationService {
    private let base = FakeService()

    func put(_ request: PutRequest, data: PutData) async throws(ReplicationError) -> PutOutcome {
        try await base.put(request, data: data)
    }

    func head(_ id: RecordID) async throws(ReplicationError) -> HeadResult? { try await base.head(id) }

    func get(
        _ id: RecordID,
        range: Range<UInt64>?,
        isBackground: Bool
    ) async throws(ReplicationError) -> GetSource {
        try await base.get(id, range: range, isBackground: isBackground)
    }

    func verify(_ id: RecordID) async throws(ReplicationError) { try await base.verify(id) }

    func list(group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] {
        try await base.list(group: group, after: after, limit: limit)
    }

    func nodeStatus() async -> NodeStatusReport { await base.nodeStatus() }
    func fencePosition() async throws(ReplicationError) -> FencePosition { try await base.fencePosition() }
    func persist(_ position: FencePosition) async throws(ReplicationError) { try await base.persist(position) }
}
