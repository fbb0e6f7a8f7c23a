// SPDX-License-Identifier: Apache-2.0

import Foundation
import LocalSegments
import NIOCore
import Placement
import ReplicationProtocol
import SegmentStore
import Testing

/// Records are read from a node's own files, and never anything else.
@Suite(.timeLimit(.minutes(5)))
struct LocalRecordsTests {
    @Test func `what the node has is read from its files, whole and in parts`() async throws {
        try await Node.with { node in
            try await node.add(1)
            try await node.add(2)
            let server = try node.serve()
            let (records, ids) = (node.records(), [try Node.id(1), try Node.id(2)])
            #expect(records.read(ids[0], range: nil) == nil)
            records.note(try node.places(ids), of: ids)
            #expect(try await eventually { records.read(ids[0], range: nil) } == Node.payload(1))
            #expect(try await eventually { records.read(ids[1], range: nil) } == Node.payload(2))
            let middle = records.read(ids[1], range: 70_000..<140_001)
            #expect(middle == Node.payload(2).getSlice(at: 70_000, length: 70_001))
            // As of a node: what is beyond the end is left out, and what begins there is for the node to refuse.
            #expect(records.read(ids[1], range: 199_999..<300_000)?.readableBytes == 1)
            #expect(records.read(ids[1], range: 200_001..<300_000) == nil)
            let head = try #require(records.head(ids[1]))
            #expect(head.metadata == ByteBuffer(string: "metadata 2"))
            #expect(head.payloadByteCount == 200_000)
            await server.shutdown()
        }
    }

    @Test func `records that come later to a file that is open are read too`() async throws {
        try await Node.with { node in
            try await node.add(1)
            let server = try node.serve()
            let (records, first, second) = (node.records(), try Node.id(1), try Node.id(2))
            records.note(try node.places([first]), of: [first])
            _ = try await eventually { records.read(first, range: nil) }
            try await node.add(2)
            records.note(try node.places([second]), of: [second])
            #expect(try await eventually { records.read(second, range: nil) } == Node.payload(2))
            await server.shutdown()
        }
    }

    @Test(arguments: [40, 600, 100_000, 199_000])
    func `a flipped bit anywhere gives nothing, and the place is forgotten`(_ distance: Int) async throws {
        try await Node.with { node in
            try await node.add(1)
            try await node.add(2)
            let server = try node.serve()
            let (records, ids) = (node.records(), [try Node.id(1), try Node.id(2)])
            records.note(try node.places(ids), of: ids)
            _ = try await eventually { records.read(ids[0], range: nil) }
            let (path, offset) = try node.file(of: ids[0])
            let file = try FileHandle(forUpdating: URL(filePath: path))
            try file.seek(toOffset: UInt64(offset + distance))
            let byte = try #require(try file.read(upToCount: 1)?.first)
            try file.seek(toOffset: UInt64(offset + distance))
            try file.write(contentsOf: [byte ^ 4])
            try file.close()
            #expect(records.read(ids[0], range: nil) == nil)
            #expect(try await eventually { records.read(ids[1], range: nil) } == Node.payload(2))
            await server.shutdown()
        }
    }

    @Test func `a place that is another record's gives nothing`() async throws {
        try await Node.with { node in
            try await node.add(1)
            try await node.add(2)
            let server = try node.serve()
            let (records, ids) = (node.records(), [try Node.id(1), try Node.id(2)])
            let places = try node.places(ids)
            records.note([places[0], places[0]], of: ids)
            _ = try await eventually { records.read(ids[0], range: nil) }
            #expect(records.read(ids[1], range: nil) == nil)
            // Not asked for a second time in vain: the wrong place is forgotten, and the right one is welcome.
            records.note(places, of: ids)
            #expect(try await eventually { records.read(ids[1], range: nil) } == Node.payload(2))
            await server.shutdown()
        }
    }

    @Test func `a file is used for a minute, and while it is asked for again`() async throws {
        try await Node.with { node in
            try await node.add(1)
            let server = try node.serve()
            let (records, id) = (node.records(), try Node.id(1))
            records.note(try node.places([id]), of: [id])
            _ = try await eventually { records.read(id, range: nil) }
            // Nobody gives it again from here on.
            await server.shutdown()
            #expect(records.read(id, range: nil) != nil)
            #expect(records.read(id, range: nil, now: .now() + .seconds(61)) == nil)
            #expect(records.read(id, range: nil) == nil)
        }
    }

    @Test func `a file that nobody reads is closed all the same`() async throws {
        try await Node.with { node in
            try await node.add(1)
            let server = try node.serve()
            let (records, id) = (node.records(), try Node.id(1))
            records.note(try node.places([id]), of: [id])
            _ = try await eventually { records.read(id, range: nil) }
            records.closeOldFiles()
            #expect(records.openFileCount == 1)
            records.closeOldFiles(now: .now() + .seconds(61))
            #expect(records.openFileCount == 0, "the room of a purged segment is not held")
            await server.shutdown()
        }
    }

    @Test func `a node that gives no files is not asked for places`() async throws {
        try await Node.with { node in
            let (records, id) = (node.records(), try Node.id(1))
            // The first question has it looked up whether there is a socket, and there is none.
            #expect(!records.wantsPlace(of: id))
            let server = try node.serve()
            // Left alone for seconds, and then found.
            try await eventually { records.wantsPlace(of: id, now: .now() + .seconds(60)) ? () : nil }
            await server.shutdown()
        }
    }

    @Test func `a node that did not answer is left alone for a while`() async throws {
        try await Node.with { node in
            let server = try node.serve()
            let (records, id) = (node.records(), try Node.id(1))
            try await eventually { records.wantsPlace(of: id) ? () : nil }
            records.leaveAlone()
            #expect(!records.wantsPlace(of: id))
            #expect(records.wantsPlace(of: id, now: .now() + .seconds(6)))
            await server.shutdown()
        }
    }
}
