// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentStore
import StorageNode
import Testing

/// A coordinator has surplus copies dropped.
@Suite(.timeLimit(.minutes(5)))
struct DropServiceTests {
    private static let permit = ReferenceID(high: 5, low: 5)

    private static func drop(
        _ node: ServedNode,
        _ requests: [PutRequest],
        _ sequence: UInt64,
        isHeldElsewhere: Bool = false,
        term: UInt64 = 3
    ) async throws -> [RecordDropOutcome] {
        let items = requests.map {
            DropRequest.Item(
                recordID: $0.recordID,
                payloadDigest: $0.payloadDigest,
                isHeldElsewhere: isHeldElsewhere
            )
        }
        let stamp = OrderStamp(term: Term(rawValue: term), mapEpoch: ServedNode.stamp.mapEpoch)
        return try await node.client.drop(items, permit: permit, stamp, sequence: sequence)
    }

    @Test func `a copy is dropped, says so no more, and is stored again when it is sent again`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                var requests: [PutRequest] = []
                for low: UInt64 in 1...4 { requests.append(try await node.put(low, byteCount: 20_000)) }
                #expect(try await Self.drop(node, Array(requests[0...1]), 1) == [.dropped, .dropped])
                #expect(try await node.client.head(requests[0].recordID) == nil)
                let missing = try await refusal { try await node.client.verify(requests[1].recordID) }
                #expect(missing == .notFound)
                let ids = try await node.client.list(group: requests[0].recordID.group, limit: 100)
                #expect(ids.sorted() == requests[2...3].map(\.recordID).sorted())
                #expect(try await node.client.status().recordCount == 2)
                #expect(try await Self.drop(node, Array(requests[1...2]), 2) == [.absent, .dropped])
                try await node.put(1, byteCount: 20_000)
                try await node.client.verify(requests[0].recordID)
            }
            // The next process knows.
            try await ServedNode.with(1, in: directory) { node in
                #expect(try await node.client.status().recordCount == 2)
                try await node.client.verify(Fixture.id(1))
                #expect(try await node.client.head(Fixture.id(2)) == nil)
            }
        }
    }

    @Test func `an order of an old term or number takes nothing away`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                let request = try await node.put(1, byteCount: 2000)
                #expect(try await Self.drop(node, [request], 7) == [.dropped])
                try await node.put(1, byteCount: 2000)
                // It was on its way for long, and what it is about has been stored since.
                for late: UInt64 in [7, 6, 1] {
                    #expect(try await refusal { _ = try await Self.drop(node, [request], late) } == .invalidRequest)
                }
                // Nothing that was ordered before takes effect after an order of nothing.
                #expect(try await Self.drop(node, [], 20) == [])
                #expect(try await refusal { _ = try await Self.drop(node, [request], 15) } == .invalidRequest)
                #expect(try await Self.drop(node, [], 1, term: 4) == [])
                #expect(try await refusal { _ = try await Self.drop(node, [request], 99) } == .staleTerm)
                try await node.client.verify(request.recordID)
                #expect(try await Self.drop(node, [request], 2, term: 4) == [.dropped])
            }
        }
    }

    @Test func `what is held, deleted, damaged or different stays`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                var requests: [PutRequest] = []
                for low: UInt64 in 1...3 { requests.append(try await node.put(low, byteCount: 2000)) }
                _ = try await node.amend(RecordAmendment(.hold, of: 1, sequence: 1))
                _ = try await node.amend(RecordAmendment(.tombstone, of: 2, sequence: 2))
                requests[2].payloadDigest = requests[0].payloadDigest
                #expect(try await Self.drop(node, requests, 1) == [.held, .deleted, .differs])
                try await node.client.verify(requests[0].recordID)
                try await node.client.verify(requests[2].recordID)
                #expect(try await Self.drop(node, [requests[0]], 2, isHeldElsewhere: true) == [.dropped])
                // The hold stays: should the record come back, it is held.
                try await node.put(1, byteCount: 2000)
                let refused = try await refusal {
                    _ = try await node.amend(RecordAmendment(.tombstone, of: 1, sequence: 9))
                }
                #expect(refused == .held)
            }
        }
    }

    @Test func `a record is dropped on whichever disk it is`() async throws {
        try await Place.with { place in
            try await place.serve(try place.open(3)) { node in
                var requests: [PutRequest] = []
                for low: UInt64 in 1...30 { requests.append(try await node.put(low, byteCount: 2000)) }
                let outcomes = try await Self.drop(node, Array(requests.prefix(20)), 1)
                #expect(outcomes == Array(repeating: .dropped, count: 20))
                for low: UInt64 in 1...30 {
                    #expect(try await Fixture.copies(of: low, in: node.store) == (low > 20 ? 1 : 0))
                }
                #expect(node.store.status.recordCount == 10)
                try await node.put(1, byteCount: 2000)
                try await node.client.verify(Fixture.id(1))
            }
        }
    }
}
