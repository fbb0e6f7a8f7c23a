// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import PackFormat
import Testing

/// The bytes of the ZIP where 32 and 16 bits no longer suffice, without writing gigabytes.
@Suite struct ZipTests {
    private static func entry(offset: UInt64, byteCount: UInt64) -> ZipEntry {
        ZipEntry(name: "a/b", offset: offset, byteCount: byteCount, crc32: 0x1234_5678, hasDescriptor: true)
    }

    private static func hexadecimal(_ bytes: ByteBuffer) -> String {
        bytes.readableBytesView.map { String(format: "%02x", $0) }.joined()
    }

    @Test func `a plain entry has 32 bits`() {
        let entry = Self.entry(offset: 7, byteCount: 0xFFFF_FFFE)
        #expect(entry.contentOffset == 7 + 33)
        #expect(entry.endOffset == 7 + 33 + 0xFFFF_FFFE + 16)
        #expect(
            Self.hexadecimal(entry.localHeader())
                == "504b0304" + "1400" + "0800" + "0000" + "0000" + "2100" + "00000000" + "00000000" + "00000000"
                + "0300" + "0000" + "612f62"
        )
        #expect(Self.hexadecimal(entry.descriptor()) == "504b0708" + "78563412" + "feffffff" + "feffffff")
    }

    @Test func `an entry of 4 GiB has Zip64 fields`() {
        let entry = Self.entry(offset: 7, byteCount: 0x1_0000_0001)
        #expect(entry.contentOffset == 7 + 33 + 20)
        #expect(entry.endOffset == 7 + 53 + 0x1_0000_0001 + 24)
        #expect(
            Self.hexadecimal(entry.localHeader())
                == "504b0304" + "2d00" + "0800" + "0000" + "0000" + "2100" + "00000000" + "ffffffff" + "ffffffff"
                + "0300" + "1400" + "612f62" + "0100" + "1000" + "0000000000000000" + "0000000000000000"
        )
        #expect(
            Self.hexadecimal(entry.descriptor())
                == "504b0708" + "78563412" + "0100000001000000" + "0100000001000000"
        )
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let offset: UInt64
        let byteCount: UInt64
        /// The Zip64 field of the directory's entry.
        let extra: String
        var testDescription: String { "\(byteCount) at \(offset)" }
    }

    @Test(arguments: [
        Case(offset: 0xFFFF_FFFE, byteCount: 0xFFFF_FFFE, extra: ""),
        Case(offset: 0xFFFF_FFFF, byteCount: 1, extra: "0100" + "0800" + "ffffffff00000000"),
        Case(offset: 1, byteCount: 0xFFFF_FFFF, extra: "0100" + "1000" + "ffffffff00000000" + "ffffffff00000000"),
        Case(
            offset: 0x2_0000_0000,
            byteCount: 0x1_0000_0000,
            extra: "0100" + "1800" + "0000000001000000" + "0000000001000000" + "0000000002000000"
        ),
    ])
    func `the directory has Zip64 fields for what needs them`(one: Case) {
        var directory = ZipDirectory()
        directory.add(Self.entry(offset: one.offset, byteCount: one.byteCount))
        let bytes = Self.hexadecimal(directory.finished(at: 100, comment: ""))
        let byteCount = one.byteCount >= 0xFFFF_FFFF ? "ffffffff" : Self.hexadecimal(little(UInt32(one.byteCount)))
        let offset = one.offset >= 0xFFFF_FFFF ? "ffffffff" : Self.hexadecimal(little(UInt32(one.offset)))
        let version = one.extra.isEmpty ? "1400" : "2d00"
        let entry =
            "504b0102" + version + version + "0800" + "0000" + "0000" + "2100" + "78563412" + byteCount + byteCount
            + "0300" + Self.hexadecimal(little(UInt16(one.extra.count / 2))) + "0000" + "0000" + "0000" + "00000000"
            + offset + "612f62" + one.extra
        let end =
            "504b0506" + "0000" + "0000" + "0100" + "0100" + Self.hexadecimal(little(UInt32(entry.count / 2)))
            + "64000000" + "0000"
        #expect(bytes == entry + end)
    }

    private func little(_ number: some FixedWidthInteger) -> ByteBuffer {
        ByteBuffer(integer: number, endianness: .little)
    }

    @Test func `a directory beyond 4 GiB, or of 65,535 entries, has the Zip64 records`() {
        var directory = ZipDirectory()
        directory.add(Self.entry(offset: 0, byteCount: 1))
        let far = Self.hexadecimal(directory.finished(at: 0x1_0000_0000, comment: "xy"))
        let tail =
            "504b0606" + "2c00000000000000" + "2d00" + "2d00" + "00000000" + "00000000" + "0100000000000000"
            + "0100000000000000" + "3100000000000000" + "0000000001000000" + "504b0607" + "00000000"
            + "3100000001000000" + "01000000" + "504b0506" + "0000" + "0000" + "0100" + "0100" + "31000000"
            + "ffffffff" + "0200" + "7879"
        #expect(far.hasSuffix(tail))
        #expect(far.count == tail.count + 2 * 49)
        for (count, field, hasZip64) in [(65_534, "feff", false), (65_535, "ffff", true), (65_536, "ffff", true)] {
            var directory = ZipDirectory()
            for _ in 0..<count { directory.add(Self.entry(offset: 0, byteCount: 1)) }
            let bytes = directory.finished(at: 100, comment: "")
            #expect(bytes.readableBytes == count * 49 + 22 + (hasZip64 ? 76 : 0))
            let end = Self.hexadecimal(bytes.getSlice(at: bytes.writerIndex - 22, length: 22) ?? ByteBuffer())
            #expect(end.hasPrefix("504b0506" + "0000" + "0000" + field + field))
        }
    }

    @Test func `a pack of more than 65,535 instances is read again`() throws {
        var writer = try PackWriter(try PackFixture.description())
        var bytes = ByteBuffer()
        for number in 1...65_600 {
            let content = ByteBuffer(integer: UInt32(number))
            bytes.writeImmutableBuffer(try writer.begin(try PackFixture.instance(number, content)))
            bytes.writeImmutableBuffer(try writer.append(content))
            bytes.writeImmutableBuffer(try writer.end())
        }
        bytes.writeImmutableBuffer(try writer.finish().bytes)
        let (manifest, ranges) = try PackFixture.read(bytes)
        #expect(manifest.entries.count == 65_600)
        #expect(ranges.count == 2)
        #expect(PackFixture.verify(bytes, manifest, pieceByteCount: 1 << 20).findings.isEmpty)
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["VARVE_TEST_HUGE"] == "1"))
    func `a pack of more than 4 GiB is read again`() throws {
        let piece = ByteBuffer(repeating: 7, count: 1 << 20)
        var writer = try PackWriter(try PackFixture.description())
        var offset: UInt64 = 0
        var offsets: [UInt64] = []
        // The second is large itself, the third lies beyond 4 GiB.
        for (number, count) in [(1, 1), (2, 4097), (3, 1)] {
            var instance = try PackFixture.instance(number, piece)
            instance.byteCount = UInt64(count) << 20
            instance.digest = nil
            offset += UInt64(try writer.begin(instance).readableBytes)
            offsets.append(offset)
            for _ in 0..<count { offset += UInt64(try writer.append(piece).readableBytes) }
            offset += UInt64(try writer.end().readableBytes)
        }
        let end = try writer.finish()
        #expect(end.summary.byteCount == offset + UInt64(end.bytes.readableBytes))
        var reader = try PackReader(byteCount: end.summary.byteCount, tailByteCount: UInt64(end.bytes.readableBytes))
        guard case .finished(let manifest) = try reader.receive(end.bytes) else {
            Issue.record("the end of the pack is not enough")
            return
        }
        #expect(manifest.entries.map(\.offset) == offsets)
        #expect(manifest.contentByteCount == offset)
    }
}
