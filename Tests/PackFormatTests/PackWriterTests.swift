// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import PackFormat
import Placement
import SegmentFormat
import Testing

@Suite struct PackWriterTests {
    @Test(arguments: [1, 2, 7], [false, true])
    func `what was written is read again`(count: Int, rich: Bool) throws {
        let pack = try PackFixture.pack(count, rich: rich)
        #expect(pack.summary.byteCount == UInt64(pack.bytes.readableBytes))
        #expect(pack.summary.digest == SHA256Hasher.digest(of: pack.bytes))
        #expect(pack.summary.instanceCount == count)
        let (manifest, ranges) = try PackFixture.read(pack.bytes)
        #expect(ranges.count == 1)
        #expect(try manifest.description == PackFixture.description(cluster: rich ? PackFixture.cluster : nil))
        #expect(manifest.entries.count == count)
        for (index, entry) in manifest.entries.enumerated() {
            let file = pack.files[index]
            #expect(try entry.instance == PackFixture.instance(index + 1, file, rich: rich))
            #expect(PackFixture.slice(pack.bytes, entry.range) == file)
            #expect(entry.digest == SHA256Hasher.digest(of: file))
            #expect(entry.crc32 == CRC32.checksum(of: file))
            #expect(manifest.entry(sopInstanceUID: entry.instance.sopInstanceUID) == entry)
            let frame = entry.range(ofFrame: 1).map { PackFixture.slice(pack.bytes, $0) }
            #expect(frame == (rich ? file.getSlice(at: 30, length: 7) : nil))
            #expect(entry.range(ofFrame: 2) == nil)
        }
        let result = PackFixture.verify(pack.bytes, manifest)
        #expect(result.findings.isEmpty)
        #expect(result.digest == pack.summary.digest)
    }

    @Test func `paths are made of the UIDs, and a study's packs lie together`() throws {
        let pack = try PackFixture.pack(1)
        let entry = try #require(try PackFixture.read(pack.bytes).manifest.entries.first)
        #expect(entry.path == "\(PackFixture.study)/\(PackFixture.study).1/\(PackFixture.study).9.1.dcm")
        let key = try PackFixture.description().key
        let digest = SHA256Hasher.digest(of: ByteBuffer(string: PackFixture.study)).description
        #expect(key == "\(digest.prefix(3))/\(PackFixture.study)/11121314-1516-1718-191a-1b1c1d1e1f20.zip")
    }

    @Test func `other bytes than were announced make no pack`() throws {
        let file = try PackFixture.file(1)
        var other = file
        other.setInteger(UInt8(1), at: 0)
        var writer = try PackWriter(try PackFixture.description())
        _ = try writer.begin(try PackFixture.instance(1, file))
        _ = try writer.append(other)
        let error = #expect(throws: PackError.self) { try writer.end() }
        #expect(error?.code == .digestMismatch)
        // Nothing more comes of it, the end of a pack least of all.
        #expect(throws: PackError.self) { try writer.finish() }
        #expect(throws: PackError.self) { try writer.begin(try PackFixture.instance(2, file)) }
    }

    @Test(arguments: [-1, 1])
    func `another number of bytes than was announced makes no pack`(difference: Int) throws {
        let file = try PackFixture.file(1)
        var instance = try PackFixture.instance(1, file)
        instance.byteCount = UInt64(file.readableBytes + difference)
        instance.digest = nil
        var writer = try PackWriter(try PackFixture.description())
        _ = try writer.begin(instance)
        let error = #expect(throws: PackError.self) {
            _ = try writer.append(file)
            _ = try writer.end()
        }
        #expect(error?.code == .invalid)
        #expect(throws: PackError.self) { try writer.finish() }
    }

    @Test func `files from outside are taken as they are`() throws {
        let file = try PackFixture.file(1)
        var instance = try PackFixture.instance(1, file)
        instance.digest = nil
        var writer = try PackWriter(try PackFixture.description(cluster: nil))
        var bytes = try writer.begin(instance)
        bytes.writeImmutableBuffer(try writer.append(file))
        bytes.writeImmutableBuffer(try writer.end())
        bytes.writeImmutableBuffer(try writer.finish().bytes)
        #expect(try PackFixture.read(bytes).manifest.entries.first?.digest == SHA256Hasher.digest(of: file))
    }

    @Test func `digests computed at the same time are the same`() async throws {
        let file = try PackFixture.file(1, textByteCount: 100_000)
        var (one, other) = (
            try PackWriter(try PackFixture.description()), try PackWriter(try PackFixture.description())
        )
        let instance = try PackFixture.instance(1, file)
        #expect(try one.begin(instance) == other.begin(instance))
        var rest = file
        while let piece = rest.readSlice(length: min(30_000, rest.readableBytes)), piece.readableBytes > 0 {
            let parallel = try await other.appendInParallel(piece)
            #expect(try one.append(piece) == parallel)
        }
        #expect(try one.end() == other.end())
        let (expected, made) = (try one.finish(), try other.finish())
        #expect(made.bytes == expected.bytes && made.summary == expected.summary)
    }

    @Test func `an instance is in a pack once`() throws {
        let file = try PackFixture.file(1)
        var writer = try PackWriter(try PackFixture.description())
        _ = try writer.begin(try PackFixture.instance(1, file))
        _ = try writer.append(file)
        _ = try writer.end()
        let error = #expect(throws: PackError.self) { try writer.begin(try PackFixture.instance(1, file)) }
        #expect(error?.message.contains("twice") == true)
    }

    @Test func `methods out of order are refused`() throws {
        let file = try PackFixture.file(1)
        var writer = try PackWriter(try PackFixture.description())
        #expect(throws: PackError.self) { try writer.end() }
        writer = try PackWriter(try PackFixture.description())
        #expect(throws: PackError.self) { try writer.append(file) }
        writer = try PackWriter(try PackFixture.description())
        #expect(throws: PackError.self) { try writer.finish() }
        writer = try PackWriter(try PackFixture.description())
        _ = try writer.begin(try PackFixture.instance(1, file))
        #expect(throws: PackError.self) { try writer.begin(try PackFixture.instance(2, file)) }
        var description = try PackFixture.description()
        description.part = 2
        #expect(throws: PackError.self) { try PackWriter(description) }
    }

    @Test func `limits are held`() throws {
        let file = try PackFixture.file(1)
        func code(_ change: (inout PackInstance) throws -> Void) throws -> PackError.Code? {
            var instance = try PackFixture.instance(1, file, rich: true)
            try change(&instance)
            var writer = try PackWriter(try PackFixture.description())
            do {
                _ = try writer.begin(instance)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(try code { _ in } == nil)
        #expect(try code { $0.byteCount = 1 << 40 + 1 } == .limitExceeded)
        #expect(try code { $0.metadata = ByteBuffer(repeating: 0, count: 16 << 20 + 1) } == .limitExceeded)
        #expect(try code { $0.frames = [FrameLocation(offset: 1, byteCount: $0.byteCount)] } == .invalid)
        #expect(try code { $0.frames = [FrameLocation(offset: .max, byteCount: .max)] } == .invalid)
        #expect(try code { $0.record = RecordID(high: 1, low: 1) } == .invalid)
        #expect(try code { $0.amendments[0].payload = ByteBuffer(repeating: 0, count: 64 << 10 + 1) } == .limitExceeded)
        #expect(
            try code { $0.amendments = Array(repeating: $0.amendments[0], count: 4097) } == .limitExceeded
        )
        var instance = try PackFixture.instance(1, file, rich: true)
        instance.amendments[0].payload = ByteBuffer(repeating: 1, count: 64 << 10)
        instance.metadata = ByteBuffer(repeating: 2, count: 16 << 20)
        var writer = try PackWriter(try PackFixture.description())
        var bytes = try writer.begin(instance)
        bytes.writeImmutableBuffer(try writer.append(file))
        bytes.writeImmutableBuffer(try writer.end())
        bytes.writeImmutableBuffer(try writer.finish().bytes)
        let (manifest, ranges) = try PackFixture.read(bytes)
        #expect(manifest.entries.first?.instance == instance)
        #expect(ranges.count == 2)
    }

    @Test func `a digest that is not compared is taken as it was announced, and found when the pack is read back`()
        throws
    {
        let file = try PackFixture.file(1)
        var instance = try PackFixture.instance(1, file)
        let wrong = SHA256Hasher.digest(of: ByteBuffer(string: "other bytes"))
        for announced in [try #require(instance.digest), wrong] {
            instance.digest = announced
            var writer = try PackWriter(try PackFixture.description())
            var pack = try writer.begin(instance, isComparing: false)
            pack.writeImmutableBuffer(try writer.append(file))
            pack.writeImmutableBuffer(try writer.end())
            pack.writeImmutableBuffer(try writer.finish().bytes)
            let manifest = try PackFixture.read(pack).manifest
            #expect(manifest.entries.map(\.digest) == [announced])
            #expect(PackFixture.verify(pack, manifest).findings.isEmpty == (announced != wrong))
        }
    }
}
