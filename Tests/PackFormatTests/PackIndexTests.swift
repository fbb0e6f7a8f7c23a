// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import PackFormat
import Placement
import Testing

/// Single records of a pack, found without parsing all of its manifest.
@Suite struct PackIndexTests {
    @inline(never)
    static func index(
        _ pack: ByteBuffer,
        tailByteCount: UInt64 = PackReader.defaultTailByteCount
    ) throws -> (index: PackIndex, readCount: Int) {
        var reader = try PackReader(byteCount: UInt64(pack.readableBytes), tailByteCount: tailByteCount)
        var step = reader.firstForIndex
        var count = 0
        while case .read(let range) = step {
            count += 1
            step = try reader.receiveForIndex(PackFixture.slice(pack, range))
        }
        guard case .finished(let index) = step else { throw PackError(.invalid, "the reader does not finish") }
        return (index, count)
    }

    @Test(arguments: [0, 133, 1000, 5000, 1 << 20] as [UInt64])
    func `each record is what the whole manifest says of it`(tailByteCount: UInt64) throws {
        let pack = try PackFixture.pack(12).bytes
        let manifest = try PackFixture.read(pack).manifest
        let (index, readCount) = try Self.index(pack, tailByteCount: tailByteCount)
        #expect(readCount <= 2)
        #expect(index.records.count == 12)
        #expect(index.description == manifest.description)
        for entry in manifest.entries {
            let record = try #require(entry.instance.record)
            let found = try index.entry(of: record)
            #expect(found == entry)
        }
        let stranger = RecordID(
            studyInstanceUID: "1.2",
            sopInstanceUID: "1.3",
            payloadDigest: SHA256Hasher.digest(of: ByteBuffer())
        )
        let none = try index.entry(of: try #require(stranger))
        #expect(none == nil)
    }

    @Test func `instances without a record are not in it`() throws {
        let (index, _) = try Self.index(try PackFixture.pack(3, rich: false).bytes)
        #expect(index.records.count == 0)
    }

    @Test func `a manifest that is not in lines is parsed whole`() throws {
        let manifest = try PackFixture.read(try PackFixture.pack(3).bytes).manifest
        for changed in [("\n{", "{"), ("\n]", "]"), ("[\n", "[\n\n"), (",\n", " ,\n")] {
            let bytes = try PackFixture.forged(3) { $0.replace(changed.0, with: changed.1) }
            let (index, _) = try Self.index(bytes)
            #expect(index.records.count == 3, "\(changed)")
            for entry in manifest.entries {
                let found = try index.entry(of: try #require(entry.instance.record))
                #expect(found?.digest == entry.digest, "\(changed)")
            }
        }
    }

    @Test(
        arguments: [
            ("\"crc32\":", "\"crc33\":"), ("\"sha256\":\"", "\"sha256\":\"zz"), ("\"offset\":", "\"offset\":9"),
            ("\"offset\":", "\"offset\":9999999999999999"), ("\"offset\":", "\"offset\":-"),
        ]
    )
    func `an instance that says what can't be is refused`(from: String, to: String) throws {
        let manifest = try PackFixture.read(try PackFixture.pack(2).bytes).manifest
        let bytes = try PackFixture.forged { text in
            guard let start = text.firstRange(of: "\n{")?.upperBound else { return }
            text.replaceSubrange(start..., with: text[start...].replacing(from, with: to))
        }
        #expect(throws: PackError.self) {
            let (index, _) = try Self.index(bytes)
            for entry in manifest.entries { _ = try index.entry(of: try #require(entry.instance.record)) }
        }
    }

    @Test func `no flipped bit of manifest and end goes unnoticed but in the ZIP's directory`() throws {
        let pack = try PackFixture.pack(2).bytes
        let manifest = try PackFixture.read(pack).manifest
        let start = Int(manifest.contentByteCount) + 30 + PackManifest.name.utf8.count
        let text = String(buffer: pack.getSlice(at: start, length: pack.readableBytes - start) ?? ByteBuffer())
        let last = try #require(text.firstRange(of: "\n]}\n"))
        let end = start + text.utf8.distance(from: text.startIndex, to: last.upperBound)
        for offset in stride(from: start, to: end, by: 7) {
            var damaged = pack
            let byte: UInt8 = pack.getInteger(at: offset) ?? 0
            damaged.setInteger(byte ^ 4, at: offset)
            #expect(throws: PackError.self) { _ = try Self.index(damaged) }
        }
    }
}
