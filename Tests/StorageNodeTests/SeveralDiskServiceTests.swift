// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentFormat
import SegmentStore
import StorageNode
import Testing

/// A node of two disks, asked through a connection: it answers as one of a single disk does.
@Suite(.timeLimit(.minutes(5)))
struct SeveralDiskServiceTests {
    @Test func `records of two disks are put, read, listed and compared as those of one`() async throws {
        try await Place.with { place in
            try await place.serve(try place.open(2)) { node in
                for low: UInt64 in (0..<60).reversed() { try await node.put(low, byteCount: 1000) }
                // Written as it comes.
                try await node.put(60, byteCount: 20 << 20)
                for disk in node.store.disks { #expect(disk.store.status.recordCount > 15) }
                let status = try await node.client.status()
                #expect(
                    status.recordCount == 61 && status.acceptsWrites && !status.isUncertain && status.reason.isEmpty
                )
                #expect(status.usedBytes == node.store.disks.reduce(0) { $0 + $1.store.status.usedBytes })
                #expect(status.scrub?.quarantinedCount == 0)

                let group = try Fixture.id(0).group
                var listed: [RecordID] = []
                while true {
                    let page = try await node.client.list(group: group, after: listed.last, limit: 7)
                    listed += page
                    if page.count < 7 { break }
                }
                #expect(listed == (try (0...60).map { try Fixture.id($0) }))

                for low: UInt64 in 0...60 {
                    let id = try Fixture.id(low)
                    let count = low == 60 ? 20 << 20 : 1000
                    let payload = ByteBuffer(repeating: UInt8(low), count: count)
                    #expect(try await node.client.get(id) == payload)
                    #expect(try await node.client.get(id, range: 10..<20).readableBytes == 10)
                    #expect(try await node.client.head(id)?.metadata == ByteBuffer(string: "metadata of \(low)"))
                    try await node.client.verify(id)
                    #expect(try await Fixture.copies(of: low, in: node.store) == 1)
                }
                #expect(try await node.client.head(Fixture.id(500)) == nil)
                let absent = try Fixture.id(500)
                #expect(try await refusal { _ = try await node.client.get(absent) } == .notFound)

                try await ServedNode.withDirectory { directory in
                    try await ServedNode.with(1, in: directory) { other in
                        for low: UInt64 in 0..<60 { try await other.put(low, byteCount: 1000) }
                        try await other.put(60, byteCount: 20 << 20)
                        let parts = try await node.client.digest(prefix: Fixture.id(0))
                        #expect(parts.map(\.recordCount) == [61])
                        #expect(try await other.client.digest(prefix: Fixture.id(0)) == parts)
                    }
                }
            }
        }
    }

    /// Flips a bit in the payload of the first records of a segment, of which each is full of one byte.
    private static func damage(_ path: String, _ count: Int) throws {
        let folder = "\(path)/segments"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        let url = URL(fileURLWithPath: "\(folder)/\(try #require(names.first))")
        var bytes = try Data(contentsOf: url)
        var hits = 0
        for low: UInt8 in 1..<60 where hits < count {
            guard let range = bytes.range(of: Data(repeating: low, count: 900)) else { continue }
            bytes[range.lowerBound + 450] ^= 1
            hits += 1
        }
        try #require(hits == count)
        try bytes.write(to: url)
    }

    @Test(arguments: [1, 2, 3, 4096])
    func `damage of two disks is told page by page and healed`(limit: Int) async throws {
        try await Place.with { place in
            try await place.serve(try place.open(2)) { node in
                for low: UInt64 in 1..<60 { try await node.put(low, byteCount: 1000) }
            }
            for number in 1...2 { try Self.damage(place.disk(number), 3) }
            try await place.serve(try place.open(2)) { node in
                var damaged: [RecordID] = []
                for low: UInt64 in 1..<60 {
                    let id = try Fixture.id(low)
                    let code = try await refusal { try await node.client.verify(id) }
                    #expect(code == nil || code == .corrupt)
                    if code != nil { damaged.append(id) }
                }
                #expect(damaged.count == 6)
                #expect(try await node.client.status().scrub?.quarantinedCount == 6)

                let (missing, disks) = try await node.missing(limit: limit)
                #expect(missing.sorted() == damaged && Set(missing).count == missing.count)
                #expect(disks.isSubset(of: node.store.disks.map(\.id.rawValue)))
                // The second disk is gone to by a cursor, whatever the limit.
                #expect(disks.contains(try #require(node.store.disks.last).id.rawValue))
                // One on a disk that is no longer there, behind all.
                let behind = DamageCursor(disk: .max, segment: 1, offset: 0)
                let end = try await node.client.damage(from: behind, limit: limit)
                #expect(end.missing.isEmpty && end.next == nil)

                #expect(try await node.client.healed(ServedNode.stamp, reconciled: nil) == 6)
                for low: UInt64 in 1..<60 where damaged.contains(try Fixture.id(low)) {
                    try await node.put(low, byteCount: 1000)
                }
                #expect(try await node.client.healed(ServedNode.stamp, reconciled: nil) == 0)
                #expect(try await node.client.status().scrub?.quarantinedCount == 0)
                #expect(try await node.missing(limit: limit).ids.isEmpty)
                for low: UInt64 in 1..<60 {
                    try await node.client.verify(Fixture.id(low))
                    #expect(try await Fixture.copies(of: low, in: node.store) == 1)
                }
            }
        }
    }

    @Test func `a permit empties the trash of every disk`() async throws {
        try await Place.with { place in
            try await place.serve(try place.open(2, isHasty: true)) { node in
                for low: UInt64 in 1...24 { try await node.put(low, byteCount: 300_000) }
                for low: UInt64 in 1...24 {
                    #expect(try await node.amend(RecordAmendment(.tombstone, of: low, sequence: low)) == .stored)
                }
                for disk in node.store.disks {
                    while try await disk.store.compactNext() != nil {}
                    #expect(disk.store.status.trash.count >= 1)
                }
                let count = UInt64(node.store.status.trash.count)
                let early = try await node.purge(before: 0)
                #expect(early == PurgeResult(purgedSegmentCount: 0, remainingSegmentCount: 0))
                let one = try await node.purge(before: .max, atMost: 1)
                #expect(one == PurgeResult(purgedSegmentCount: 1, remainingSegmentCount: count - 1))
                let rest = try await node.purge(before: .max)
                #expect(rest == PurgeResult(purgedSegmentCount: count - 1, remainingSegmentCount: 0))
                for disk in node.store.disks { #expect(disk.store.status.trash.isEmpty) }
                let stale = try await refusal { _ = try await node.purge(before: .max, term: 2) }
                #expect(stale == .staleTerm)
            }
        }
    }

    @Test func `what is said about records is on every disk, and told once`() async throws {
        try await Place.with { place in
            try await place.serve(try place.open(2)) { node in
                var expected: [RecordAmendment] = []
                for low: UInt64 in 1...10 {
                    try await node.put(low, byteCount: 1000)
                    let hold = try RecordAmendment(.hold, of: low, sequence: low)
                    #expect(try await node.amend(hold) == .stored)
                    #expect(try await node.amend(hold) == .alreadyStored)
                    expected.append(hold)
                    let tombstone = try RecordAmendment(.tombstone, of: low, sequence: 100 + low)
                    #expect(try await refusal { _ = try await node.amend(tombstone) } == .held)
                }
                for disk in node.store.disks {
                    for low: UInt64 in 1...10 { #expect(try await disk.store.standing(of: Fixture.id(low)).isHeld) }
                }
                let page = try await node.client.amendments(from: Fixture.id(0), to: Fixture.id(100))
                #expect(page == AmendmentPage(expected, hasMore: false))
            }
        }
    }
}
