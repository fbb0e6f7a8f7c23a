// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import NIOCore
import Testing

@Suite("ZIP archives")
struct ZipWriterTests {
    @Test("An archive of one file, byte for byte")
    func golden() {
        var writer = ZipWriter()
        var bytes = writer.begin(name: "a.dcm", byteCount: 5)
        let content = ByteBuffer(string: "hello")
        bytes.writeImmutableBuffer(content)
        writer.add(content)
        bytes.writeImmutableBuffer(writer.end())
        bytes.writeImmutableBuffer(writer.finish())
        let name: [UInt8] = [0x61, 0x2E, 0x64, 0x63, 0x6D]
        // The CRC-32 of "hello" is 3610A686.
        let crc: [UInt8] = [0x86, 0xA6, 0x10, 0x36]
        let local: [UInt8] =
            [0x50, 0x4B, 3, 4, 20, 0, 8, 0, 0, 0, 0, 0, 0x21, 0] + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]
            + name
        let descriptor: [UInt8] = [0x50, 0x4B, 7, 8] + crc + [5, 0, 0, 0, 5, 0, 0, 0]
        let central: [UInt8] =
            [0x50, 0x4B, 1, 2, 20, 0, 20, 0, 8, 0, 0, 0, 0, 0, 0x21, 0] + crc + [5, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0]
            + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] + name
        let end: [UInt8] = [0x50, 0x4B, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0, 51, 0, 0, 0, 56, 0, 0, 0, 0, 0]
        #expect(Array(bytes.readableBytesView) == local + Array("hello".utf8) + descriptor + central + end)
    }

    @Test("The CRC is of all pieces")
    func pieces() {
        var whole = ZipWriter()
        var cut = ZipWriter()
        _ = whole.begin(name: "a", byteCount: 9)
        _ = cut.begin(name: "a", byteCount: 9)
        whole.add(ByteBuffer(string: "123456789"))
        for piece in ["12", "", "3456", "789"] { cut.add(ByteBuffer(string: piece)) }
        let end = whole.end()
        #expect(end == cut.end())
        // The check value of CRC-32.
        #expect(end.getInteger(at: 4, endianness: .little, as: UInt32.self) == 0xCBF4_3926)
    }

    @Test("A file beyond the limit, and what comes behind it, have Zip64 fields")
    func zip64() throws {
        // The limit is 4 GiB in earnest.
        var writer = ZipWriter(zip64From: 1000)
        let head = writer.begin(name: "large", byteCount: 1000)
        #expect(head.readableBytes == 30 + 5 + 20)
        #expect(head.getInteger(at: 4, endianness: .little, as: UInt16.self) == 45)
        writer.add(ByteBuffer(repeating: 0, count: 1000))
        let end = writer.end()
        #expect(end.readableBytes == 24)
        #expect(end.getInteger(at: 8, endianness: .little, as: UInt64.self) == 1000)
        #expect(writer.begin(name: "small", byteCount: 1).readableBytes == 35)
        writer.add(ByteBuffer(bytes: [7]))
        #expect(writer.end().readableBytes == 16)
        let directory = writer.finish()
        // Both of the large file's lengths, then the small one's offset.
        #expect(directory.getInteger(at: 20, endianness: .little, as: UInt32.self) == .max)
        #expect(directory.getInteger(at: 51, endianness: .little, as: UInt16.self) == 1)
        #expect(directory.getInteger(at: 53, endianness: .little, as: UInt16.self) == 16)
        #expect(directory.getInteger(at: 55, endianness: .little, as: UInt64.self) == 1000)
        let second = 46 + 5 + 20
        #expect(directory.getInteger(at: second + 20, endianness: .little, as: UInt32.self) == 1)
        #expect(directory.getInteger(at: second + 42, endianness: .little, as: UInt32.self) == .max)
        #expect(directory.getInteger(at: second + 53, endianness: .little, as: UInt16.self) == 8)
        let offset = UInt64(head.readableBytes + 1000 + end.readableBytes)
        #expect(directory.getInteger(at: second + 55, endianness: .little, as: UInt64.self) == offset)
        // The end's own record and its locator.
        let tail = directory.writerIndex - 98
        #expect(directory.getInteger(at: tail, endianness: .little, as: UInt32.self) == 0x0606_4B50)
        #expect(directory.getInteger(at: directory.writerIndex - 6, endianness: .little, as: UInt32.self) == .max)
    }

    @Test("More than 65,534 files, and archives without any, end as they must")
    func counts() throws {
        #expect(ZipWriter().finish().readableBytes == 22)
        var writer = ZipWriter()
        for index in 0..<65_535 {
            _ = writer.begin(name: "\(index)", byteCount: 0)
            _ = writer.end()
        }
        let directory = writer.finish()
        let end = try #require(directory.getSlice(at: directory.writerIndex - 98, length: 98))
        #expect(end.getInteger(at: 0, endianness: .little, as: UInt32.self) == 0x0606_4B50)
        #expect(end.getInteger(at: 24, endianness: .little, as: UInt64.self) == 65_535)
        #expect(end.getInteger(at: 56, endianness: .little, as: UInt32.self) == 0x0706_4B50)
        #expect(end.getInteger(at: 76, endianness: .little, as: UInt32.self) == 0x0605_4B50)
        #expect(end.getInteger(at: 84, endianness: .little, as: UInt16.self) == 0xFFFF)
    }
}
