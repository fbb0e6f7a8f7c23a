// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentFormat
import SegmentStore
import SimulatedDisk
import StorageNode
import Testing

/// A disk that fails while its node runs: the others go on, and nobody is told anything untrue.
@Suite(.timeLimit(.minutes(5)))
struct FailingDiskTests {
    private static let writes: Set<SimulatedDisk.Operation> = [
        .createDirectory, .createFile, .removeFile, .moveFile, .syncDirectory, .write, .sync, .allocate, .cutReserve,
    ]

    /// Runs `body` with a node of two disks and what is on the first of them.
    private static func withNode(
        _ place: Place,
        on disks: [SimulatedDisk],
        isHasty: Bool = false,
        _ body: (ServedNode, _ first: NodeStore.Disk) async throws -> Void
    ) async throws {
        let store = try place.open([place.disk(1), place.disk(2)], isHasty: isHasty, on: disks)
        try await place.serve(store) { node in
            try await body(node, try #require(node.store.disks.first { $0.path == place.disk(1) }))
        }
    }

    private static func isOn(_ disk: NodeStore.Disk, _ low: UInt64) async throws -> Bool {
        try await disk.store.presence(of: Fixture.id(low)).isStored
    }

    @Test(arguments: [SimulatedDisk.Operation.write, .sync])
    func `when one disk cannot be written, the other takes what comes`(operation: SimulatedDisk.Operation) async throws
    {
        try await Place.with { place in
            let disks = [SimulatedDisk(), SimulatedDisk()]
            try await Self.withNode(place, on: disks) { node, first in
                for low: UInt64 in 1..<30 { try await node.put(low, byteCount: 1000) }
                disks[0].setFaults { $0.operation == operation ? .error(EIO) : nil }
                var refused: [UInt64] = []
                for low: UInt64 in 30..<60 {
                    let code = try await refusal { try await node.put(low, byteCount: 1000) }
                    #expect(code == nil || code == .diskFailed)
                    if code != nil { refused.append(low) }
                }
                // The one that found out.
                #expect(refused.count == 1)
                for low in refused { try await node.put(low, byteCount: 1000) }
                try await node.put(60, byteCount: 20 << 20)
                for low: UInt64 in 30...60 { #expect(try await Self.isOn(first, low) == false) }

                let status = try await node.client.status()
                #expect(status.acceptsWrites && !status.isUncertain)
                #expect(status.reason.contains("disk \(place.disk(1)): ") && status.reason.contains("no more records"))
                #expect(!status.reason.contains(place.disk(2)))
                #expect(status.recordCount == 60)
                // Only what can be filled counts.
                #expect(status.freeBytes == node.store.disks.first { $0.id != first.id }?.store.status.freeBytes)

                // What is on it can be read, and need not be sent again.
                var count = 0
                for low: UInt64 in 1...60 {
                    try await node.client.verify(Fixture.id(low))
                    if low < 60 { try await node.put(low, byteCount: 1000) }
                    #expect(try await Fixture.copies(of: low, in: node.store) == 1)
                    if try await Self.isOn(first, low) { count += 1 }
                }
                #expect(count > 5 && count < 30)
            }
        }
    }

    @Test func `what is deleted while one disk cannot be written stays deleted`() async throws {
        try await Place.with { place in
            var disks = [SimulatedDisk(), SimulatedDisk()]
            try await Self.withNode(place, on: disks) { node, _ in
                for low: UInt64 in 1..<30 { try await node.put(low, byteCount: 1000) }
                disks[0].setFaults { Self.writes.contains($0.operation) ? .error(EIO) : nil }
                for low: UInt64 in 1..<20 {
                    #expect(try await node.amend(RecordAmendment(.tombstone, of: low, sequence: low)) == .stored)
                }
                #expect(try await node.amend(RecordAmendment(.hold, of: 25, sequence: 25)) == .stored)
                try await Self.expectDeleted(node)
            }
            // The next process finds the disk sound again, and what it lacks is looked up on the other until it is copied.
            for isCompared in [false, true] {
                disks = disks.map { $0.afterProcessKill() }
                let store = try place.open([place.disk(1), place.disk(2)], on: disks)
                if isCompared { try await store.evenOut(logger: Fixture.quiet) }
                try await place.serve(store) { node in
                    try await Self.expectDeleted(node)
                    for disk in node.store.disks where isCompared {
                        for low: UInt64 in 1..<20 {
                            #expect(try await disk.store.standing(of: Fixture.id(low)).isDeleted)
                        }
                        #expect(try await disk.store.standing(of: Fixture.id(25)).isHeld)
                    }
                }
            }
        }
    }

    /// The notes may be on the disk although their sync failed: what is there until the next start says nothing.
    @Test func `of a drop whose sync failed nobody is told that the copies stay`() async throws {
        try await Place.with { place in
            var disk = SimulatedDisk()
            func drop(
                _ request: PutRequest?,
                _ sequence: UInt64,
                at node: ServedNode
            ) async throws -> [RecordDropOutcome] {
                let items = [request].compactMap { $0 }.map {
                    DropRequest.Item(recordID: $0.recordID, payloadDigest: $0.payloadDigest, isHeldElsewhere: false)
                }
                let permit = ReferenceID(high: 5, low: 5)
                return try await node.client.drop(items, permit: permit, ServedNode.stamp, sequence: sequence)
            }
            try await place.serve(try place.open([place.disk(1)], on: [disk])) { node in
                var requests: [PutRequest] = []
                for low: UInt64 in 1...3 { requests.append(try await node.put(low, byteCount: 1000)) }
                // The first drop of a store is more than its notes.
                #expect(try await drop(requests[2], 1, at: node) == [.dropped])
                disk.setFaults { $0.operation == .sync ? .error(EIO) : nil }
                #expect(try await refusal { _ = try await drop(requests[0], 2, at: node) } == .diskFailed)
                _ = try #require(try await node.client.head(Fixture.id(1)))
                #expect(try await refusal { _ = try await drop(nil, 3, at: node) } == .diskFailed)
            }
            disk = disk.afterProcessKill()
            try await place.serve(try place.open([place.disk(1)], on: [disk])) { node in
                // Whatever it says of the first now is so.
                #expect(try await drop(nil, 4, at: node) == [])
                try await node.client.verify(Fixture.id(2))
            }
        }
    }

    private static func expectDeleted(_ node: ServedNode) async throws {
        for low: UInt64 in 1..<20 {
            let id = try Fixture.id(low)
            #expect(try await refusal { _ = try await node.client.get(id) } == .notFound)
            #expect(try await refusal { try await node.put(low, byteCount: 1000) } == .conflict)
        }
        for low: UInt64 in 20..<30 { try await node.client.verify(Fixture.id(low)) }
        let group = try Fixture.id(0).group
        #expect(try await node.client.list(group: group, limit: 100) == (20..<30).map { try Fixture.id($0) })
        let tombstone = try RecordAmendment(.tombstone, of: 25, sequence: 100)
        #expect(try await refusal { _ = try await node.amend(tombstone) } == .held)
    }

    /// No answer but that the record is there and cannot be read: other nodes have it, and healing is told of it.
    @Test func `what is on a dead disk is damaged, not absent, until a start without it`() async throws {
        try await Place.with { place in
            let disks = [SimulatedDisk(), SimulatedDisk()]
            var dead: [UInt64] = []
            try await Self.withNode(place, on: disks) { node, first in
                for low: UInt64 in 1..<30 { try await node.put(low, byteCount: 1000) }
                for low: UInt64 in 1..<30 where try await Self.isOn(first, low) { dead.append(low) }
                disks[0].setFaults { _ in .error(EIO) }
                // It is found out by the first that is to go there.
                for low: UInt64 in 30..<60 { _ = try await refusal { try await node.put(low, byteCount: 1000) } }
                for low: UInt64 in 30..<60 { try await node.put(low, byteCount: 1000) }

                for low: UInt64 in 1..<60 {
                    let id = try Fixture.id(low)
                    let wanted: ReplicationError.Code? = dead.contains(low) ? .corrupt : nil
                    #expect(try await refusal { _ = try await node.client.get(id) } == wanted)
                    #expect(try await refusal { _ = try await node.client.head(id) } == wanted)
                    #expect(try await refusal { try await node.client.verify(id) } == wanted)
                }
                let group = try Fixture.id(0).group
                #expect(try await node.client.list(group: group, limit: 100) == (1..<60).map { try Fixture.id($0) })
                #expect(try await node.client.digest(prefix: Fixture.id(0)).map(\.recordCount) == [59])
                let status = try await node.client.status()
                #expect(status.acceptsWrites && status.reason.contains(place.disk(1)))
                #expect(status.scrub?.quarantinedCount == UInt64(dead.count))
                #expect(try await node.missing(limit: 10).ids.sorted() == (try dead.map { try Fixture.id($0) }))
                // Its place is there still.
                for low in dead {
                    #expect(try await refusal { try await node.put(low, byteCount: 1000) } == .diskFailed)
                }
            }
            // Restarted, the node does without it, says so, and takes again what was on it.
            let rest = disks[1].afterProcessKill()
            let store = try place.open([place.disk(1), place.disk(2)], on: [disks[0], rest])
            #expect(store.missing.map(\.path) == [place.disk(1)])
            try await place.serve(store) { node in
                for low in dead {
                    let id = try Fixture.id(low)
                    #expect(try await refusal { _ = try await node.client.get(id) } == .unknown)
                    #expect(try await refusal { _ = try await node.client.head(id) } == .unknown)
                    #expect(try await refusal { try await node.client.verify(id) } == .unknown)
                    try await node.put(low, byteCount: 1000)
                }
                for low: UInt64 in 1..<60 { try await node.client.verify(Fixture.id(low)) }
                let status = try await node.client.status()
                #expect(status.isUncertain && status.reason.contains("disk \(place.disk(1)) is missing"))
            }
        }
    }

    @Test func `a disk that cannot remove its trash does not keep that of the others`() async throws {
        try await Place.with { place in
            let disks = [SimulatedDisk(), SimulatedDisk()]
            try await Self.withNode(place, on: disks, isHasty: true) { node, first in
                for low: UInt64 in 1...24 { try await node.put(low, byteCount: 300_000) }
                for low: UInt64 in 1...24 {
                    #expect(try await node.amend(RecordAmendment(.tombstone, of: low, sequence: low)) == .stored)
                }
                // The one that will fail first: its trash is the oldest.
                for disk in node.store.disks.sorted(by: { one, _ in one.id == first.id }) {
                    while try await disk.store.compactNext() != nil {}
                    #expect(disk.store.status.trash.count >= 1)
                }
                disks[0].setFaults { Self.writes.contains($0.operation) ? .error(EIO) : nil }
                #expect(try await refusal { _ = try await node.purge(before: .max) } == .diskFailed)
                for disk in node.store.disks { #expect(disk.store.status.trash.isEmpty == (disk.id != first.id)) }
            }
        }
    }
}
