// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import PackFormat
import Testing

@Suite struct PackReaderTests {
    @Test(arguments: [0, 133, 134, 1000, 5000, 100_000] as [UInt64])
    func `two reads suffice, whatever the first one is`(tailByteCount: UInt64) throws {
        let pack = try PackFixture.pack(5)
        let whole = try PackFixture.read(pack.bytes)
        let (manifest, ranges) = try PackFixture.read(pack.bytes, tailByteCount: tailByteCount)
        #expect(manifest == whole.manifest)
        #expect(ranges.count <= 2)
        // What was read is not read again.
        if ranges.count == 2 { #expect(ranges[1].upperBound == ranges[0].lowerBound) }
    }

    @Test func `truncated at any offset it is no pack`() throws {
        let pack = try PackFixture.pack(2).bytes
        for count in 0..<pack.readableBytes {
            let bytes = pack.getSlice(at: 0, length: count) ?? ByteBuffer()
            let error = #expect(throws: PackError.self) { try PackFixture.read(bytes) }
            #expect(error?.code == .notAPack, "\(count) bytes")
        }
        var longer = pack
        longer.writeInteger(UInt8(0))
        #expect(throws: PackError.self) { try PackFixture.read(longer) }
    }

    @Test func `no flipped bit goes unnoticed`() throws {
        let pack = try PackFixture.pack(2).bytes
        let sound = try PackFixture.read(pack).manifest
        for offset in 0..<pack.readableBytes {
            for bit in [0, 5] {
                var bytes = pack
                bytes.setInteger(bytes.getInteger(at: offset, as: UInt8.self)! ^ (1 << bit), at: offset)
                if UInt64(offset) >= sound.contentByteCount {
                    #expect(throws: PackError.self, "byte \(offset)") { try PackFixture.read(bytes) }
                } else {
                    let manifest = try PackFixture.read(bytes).manifest
                    #expect(manifest == sound)
                    let result = PackFixture.verify(bytes, manifest)
                    let hit = sound.entries.first { $0.range.contains(UInt64(offset)) }
                    #expect(result.findings.map(\.path) == [hit?.path], "byte \(offset)")
                }
            }
        }
    }

    @Test(arguments: [1, 7, 64, 1 << 20])
    func `it is proven in pieces of any length`(pieceByteCount: Int) throws {
        let pack = try PackFixture.pack(3).bytes
        let manifest = try PackFixture.read(pack).manifest
        let result = PackFixture.verify(pack, manifest, pieceByteCount: pieceByteCount)
        #expect(result.findings.isEmpty)
        #expect(result.digest == SHA256Hasher.digest(of: pack))
    }

    @Test func `a pack that ends while it is read is found out`() throws {
        let pack = try PackFixture.pack(3).bytes
        let manifest = try PackFixture.read(pack).manifest
        var verifier = PackVerifier(manifest)
        verifier.append(try #require(pack.getSlice(at: 0, length: Int(manifest.entries[1].offset + 3))))
        let result = verifier.finish(expecting: UInt64(pack.readableBytes))
        #expect(result.findings.map(\.path) == [nil, manifest.entries[1].path, manifest.entries[2].path])
    }

    @Test func `empty instances are proven, too`() throws {
        var writer = try PackWriter(try PackFixture.description())
        var bytes = ByteBuffer()
        for number in 1...3 {
            bytes.writeImmutableBuffer(try writer.begin(try PackFixture.instance(number, ByteBuffer())))
            bytes.writeImmutableBuffer(try writer.end())
        }
        bytes.writeImmutableBuffer(try writer.finish().bytes)
        let manifest = try PackFixture.read(bytes).manifest
        #expect(manifest.entries.count == 3)
        #expect(PackFixture.verify(bytes, manifest).findings.isEmpty)
    }

    @Test func `what later versions add is passed over`() throws {
        let bytes = try PackFixture.forged { text in
            text.replace("\"part\":1", with: "\"site\":{\"name\":[\"\\u0041\",null,true,1.5e3,{}]},\"part\":1")
            text.replace("\"frames\":", with: "\"note\":\"x\",\"frames\":")
            text.replace("\"kind\":3", with: "\"who\":[],\"kind\":3")
        }
        let original = try PackFixture.read(PackFixture.pack(2).bytes).manifest
        #expect(try PackFixture.read(bytes).manifest == original)
    }

    static let forgeries: [(String, String, PackError.Code)] = [
        ("\"version\":1", "\"version\":2", .unsupportedVersion),
        ("varve-pack", "other-pack", .notAPack),
        ("\"study\":\"1.", "\"study\":\"../1.", .damaged),
        ("\"series\":\"1.", "\"series\":\"/1.", .damaged),
        ("\"path\":\"1.", "\"path\":\"../1.", .damaged),
        ("\"instance\":\"1.", "\"instance\":\"..\",\"x\":\"1.", .damaged),
        ("\"part\":1", "\"part\":2", .damaged),
        ("\"parts\":1", "\"parts\":99999999", .damaged),
        ("\"byteCount\":", "\"byteCount\":1", .damaged),
        ("\"byteCount\":", "\"byteCount\":9999999999999999999999", .damaged),
        ("\"offset\":", "\"offset\":-", .damaged),
        ("\"offset\":", "\"offset\":1", .damaged),
        ("\"offset\":", "\"offset\":0.", .damaged),
        ("\"created\":", "\"created\":\"\",\"x\":", .damaged),
        ("\"created\":", "\"x\":", .damaged),
        ("\"crc32\":\"", "\"crc32\":\"0", .damaged),
        ("\"frames\":[[10,20]", "\"frames\":[[10,20,30]", .damaged),
        ("\"frames\":[[10,20]", "\"frames\":[[10]", .damaged),
        ("\"frames\":[[10,20]", "\"frames\":[[18446744073709551615,18446744073709551615]", .damaged),
        ("\"metadata\":\"", "\"metadata\":\"*", .damaged),
        ("\"kind\":3,", "", .damaged),
        ("\"kind\":3", "\"kind\":70000", .damaged),
        ("\"record\":", "\"x\":", .damaged),
        ("\"pack\":", "\"pack\":\"11121314-1516-1718-191a-1b1c1d1e1f20\",\"pack\":", .damaged),
        ("\"instances\":[", "\"x\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]],\"instances\":[", .damaged),
        ("]}\n", "]}\n{}", .damaged),
        ("]}\n", "]", .damaged),
        ("]}\n", "", .damaged),
    ]

    @Test(arguments: forgeries)
    func `a manifest that says what can't be is refused`(
        text: String,
        replacement: String,
        code: PackError.Code
    ) throws {
        let bytes = try PackFixture.forged { manifest in
            guard let range = manifest.firstRange(of: text) else { return }
            manifest.replaceSubrange(range, with: replacement)
        }
        let error = #expect(throws: PackError.self) { try PackFixture.read(bytes) }
        #expect(error?.code == code, "\(error?.description ?? "no error")")
    }

    @Test(
        arguments: ["offset", "length"],
        ["0000000000000000", "ffffffffffffffff", "7fffffffffffffff", "0000000000000030"]
    )
    func `an end that points anywhere is refused`(field: String, value: String) throws {
        var pack = try PackFixture.pack(2).bytes
        pack.setString(value, at: pack.writerIndex - 111 + (field == "offset" ? 13 : 30))
        #expect(throws: PackError.self) { try PackFixture.read(pack) }
        #expect(throws: PackError.self) { try PackFixture.read(pack, tailByteCount: 200) }
    }

    @Test func `other files are no packs, and later versions are said to be`() throws {
        for bytes in [ByteBuffer(), ByteBuffer(string: "PK"), ByteBuffer(repeating: 0, count: 4096)] {
            let error = #expect(throws: PackError.self) { try PackFixture.read(bytes) }
            #expect(error?.code == .notAPack)
        }
        var later = try PackFixture.pack(1).bytes
        later.setString("2", at: later.writerIndex - 100)
        let error = #expect(throws: PackError.self) { try PackFixture.read(later) }
        #expect(error?.code == .unsupportedVersion)
        var other = try PackFixture.pack(1).bytes
        other.setString("other", at: other.writerIndex - 111)
        let second = #expect(throws: PackError.self) { try PackFixture.read(other) }
        #expect(second?.code == .notAPack)
    }

    @Test func `a store that gives too few bytes is found out`() throws {
        let pack = try PackFixture.pack(1).bytes
        var reader = try PackReader(byteCount: UInt64(pack.readableBytes))
        let few = PackFixture.slice(pack, 0..<10)
        #expect(throws: PackError.self) { try reader.receive(few) }
    }
}
