// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import PixelCodecs
import Testing

/// Streams that other programs wrote, against what other programs read in them.
///
/// Expected are FNV-1a hashes of frames that pydicom's decoders gave (pylibjpeg for lossless, Pillow for DCT) or, for
/// RLE, of the native frames of the same image.
@Suite struct JPEGForeignStreamTests {
    struct File: Sendable, CustomTestStringConvertible {
        let name: String
        let format: PixelFormat
        let frameCount: Int
        let hash: UInt64

        init(
            _ name: String,
            _ rows: Int,
            _ columns: Int,
            _ allocated: Int,
            _ stored: Int,
            isSigned: Bool = false,
            frames: Int = 1,
            _ hash: UInt64
        ) {
            self.name = name
            format = PixelFormat(
                rows: rows,
                columns: columns,
                bitsAllocated: allocated,
                bitsStored: stored,
                isSigned: isSigned
            )
            frameCount = frames
            self.hash = hash
        }

        var testDescription: String { name }
    }

    static let lossless = [
        File("JPEG-LL.dcm", 1_024, 256, 16, 16, isSigned: true, 0xFB85_47FB_401A_1AB5),
        File("JPGLosslessP14SV1_1s_1f_8b.dcm", 768, 1_024, 8, 8, 0x030C_972E_5977_47A0),
        File("bad_sequence.dcm", 512, 512, 16, 12, 0x89D1_0161_2EC4_2985),
    ]

    static let rle = [
        File("OBXXXX1A_rle.dcm", 600, 800, 8, 8, 0xC54E_4307_E895_1CF9),
        File("OBXXXX1A_rle_2frame.dcm", 600, 800, 8, 8, frames: 2, 0xC81F_38C9_2EC4_26C1),
        File("emri_small_RLE.dcm", 64, 64, 16, 12, frames: 10, 0x25DC_6FC5_1D00_3384),
        File("liver_rle.dcm", 512, 512, 1, 1, frames: 3, 0xB0C5_436F_E6B3_532A),
        File("liver_nonbyte_aligned_rle.dcm", 510, 510, 1, 1, frames: 3, 0xBE35_D803_0763_60E2),
    ]

    static let corpus: String? = {
        if let path = ProcessInfo.processInfo.environment["VARVE_TEST_CORPUS"] { return path }
        let repository = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let path = repository.deletingLastPathComponent().appendingPathComponent("shared/corpus").path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    @Test("JPEG lossless files", .enabled(if: corpus != nil, "no corpus: set VARVE_TEST_CORPUS"), arguments: lossless)
    func losslessFile(file: File) throws {
        var hash = FNVHash()
        for fragment in try Self.fragments(of: file) {
            hash.update(try JPEGLosslessTests.decode(fragment, file.format))
        }
        #expect(hash.value == file.hash)
    }

    @Test("RLE files", .enabled(if: corpus != nil, "no corpus: set VARVE_TEST_CORPUS"), arguments: rle)
    func rleFile(file: File) throws {
        var hash = FNVHash()
        for fragment in try Self.fragments(of: file) {
            let frame = try RLETests.decode(ByteBuffer(bytes: fragment), file.format)
            hash.update(frame)
            let again = try RLECodec.encode(frame, format: file.format, scratch: CodecScratch())
            #expect(try RLETests.decode(again, file.format) == frame)
        }
        #expect(hash.value == file.hash)
    }

    /// The encoded frames: the items behind the basic offset table, all of them for a lone frame, else one for each.
    private static func fragments(of file: File) throws -> [[UInt8]] {
        let path = (corpus ?? "") + "/odd/" + file.name
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        // Pixel Data, VR OB or OW, undefined length, then an item; icons are native in these files.
        let marks = ["OB", "OW"].compactMap { vr in
            data.range(
                of: Data(
                    [0xE0, 0x7F, 0x10, 0x00] + Array(vr.utf8) + [0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0x00, 0xE0]
                )
            )
        }
        var buffer = ByteBuffer(bytes: data[(try #require(marks.first).upperBound - 4)...])
        var items: [[UInt8]] = []
        while buffer.readInteger(endianness: .big, as: UInt32.self) == 0xFEFF_00E0 {
            let byteCount = Int(buffer.readInteger(endianness: .little, as: UInt32.self) ?? 0)
            let item = buffer.readBytes(length: byteCount)
            items.append(try #require(item))
        }
        items.removeFirst()
        if file.frameCount == 1 { return [Array(items.joined())] }
        try #require(items.count == file.frameCount)
        return items
    }

    // MARK: - Streams of Pillow, 18 rows of 21 pixels

    /// YCbCr 4:2:0, progressive.
    private static let progressive = """
        /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19i \
        Z2hnPk1xeXBkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj \
        Y2NjY2NjY2P/wgARCAASABUDASIAAhEBAxEB/8QAFwABAQEBAAAAAAAAAAAAAAAAAAQDBf/EABYBAQEBAAAAAAAAAAAAAAAAAAUC \
        A//aAAwDAQACEAMQAAAB5dNNOkSrmSLUkLUHJf/EABgQAQEBAQEAAAAAAAAAAAAAAAIAARAS/9oACAEBAAEFAiIiwRFgvMeZf//E \
        ABYRAQEBAAAAAAAAAAAAAAAAAAADAf/aAAgBAwEBPwGVmVRY/8QAGxEAAgEFAAAAAAAAAAAAAAAAAAECAwQQM0H/2gAIAQIBAT8B \
        iO8iuFXW8f/EABQQAQAAAAAAAAAAAAAAAAAAADD/2gAIAQEABj8CH//EABoQAAICAwAAAAAAAAAAAAAAAAAQAREhMUH/2gAIAQEA \
        AT8hS4U1FpSeGh//2gAMAwEAAgADAAAAEHcXv//EABgRAAMBAQAAAAAAAAAAAAAAAAABMREh/9oACAEDAQE/EDZi6WiD/8QAGREB \
        AQEAAwAAAAAAAAAAAAAAAQARMXHw/9oACAECAQE/EEBrJYJL27ji/8QAGhABAQADAQEAAAAAAAAAAAAAAQARITFBUf/aAAgBAQAB \
        PxDhq4avkuGoRlMBHBkIGtECk8F//9k=
        """

    /// YCbCr 4:2:2, baseline.
    private static let halved = """
        /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19i \
        Z2hnPk1xeXBkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj \
        Y2NjY2NjY2P/wAARCAASABUDASEAAhEBAxEB/8QAGQAAAgMBAAAAAAAAAAAAAAAAAAUCAwQG/8QAHRAAAgEFAQEAAAAAAAAAAAAA \
        AAEEAgMRITEiEv/EABYBAQEBAAAAAAAAAAAAAAAAAAYEBf/EACARAAICAgICAwAAAAAAAAAAAAABAgMEMREhEjJRgbH/2gAMAwEA \
        AhEDEQA/AOXjweaGceDzRTUUYl4wtQfPALVo3Y39Eo8HmhlZhKlZawkQQkoryekCcS7Reo9VXMpAHrc26ybkpNL45EsLUooI6WtI \
        11JeDTzXxiy+v1AzB9karSXzxAH1oSRfR//Z
        """

    /// YCbCr 4:4:4, baseline with restart markers.
    private static let restarted = """
        /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19i \
        Z2hnPk1xeXBkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj \
        Y2NjY2NjY2P/wAARCAASABUDAREAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF \
        BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW \
        V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi \
        4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAEC \
        AxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm \
        Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq \
        8vP09fb3+Pn6/90ABAAC/9oADAMBAAIRAxEAPwDl7ex6cVpAmlXNO3senFdMD1KVc//Qiisfl6V60T6SFfQdb2PTivMgfAUq5//R \
        vw2QUZIwBXU6kacXObskYUa1ycW7N0yBXz+IzCrWneDcV0/4J7NKokj/0ta3A44FXA+TpMtsB8leXm7doL1/Q9nDH//T6uIDb0Ff \
        Lo0g9D//2Q==
        """

    /// A stream with the hashes of its frame as stored and as RGB.
    struct Stream: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let base64: String
        let stored: UInt64
        let rgb: UInt64

        var bytes: [UInt8] { [UInt8](Data(base64Encoded: base64, options: .ignoreUnknownCharacters) ?? Data()) }
    }

    static let streams = [
        Stream(
            testDescription: "progressive",
            base64: progressive,
            stored: 0x416D_EFE2_C9A2_CAD4,
            rgb: 0x8051_5675_42E3_6034
        ),
        Stream(
            testDescription: "halved chroma",
            base64: halved,
            stored: 0x1EF3_879D_8034_A065,
            rgb: 0xF6A3_7616_8F09_8D81
        ),
        Stream(
            testDescription: "with restarts",
            base64: restarted,
            stored: 0x71FC_1F38_428D_4D83,
            rgb: 0xBCB7_AED7_3768_C401
        ),
    ]

    @Test("streams of libjpeg, as stored and as RGB", arguments: streams)
    func colour(stream: Stream) throws {
        let bytes = stream.bytes
        var format = JPEGDCTTests.format(18, 21, 8, samples: 3)
        for (colour, expected) in [(JPEGDCTCodec.Colour.stored, stream.stored), (.rgb, stream.rgb)] {
            var hash = FNVHash()
            hash.update(try JPEGDCTTests.decode(bytes, format, colour).frame)
            #expect(hash.value == expected)
        }
        // By plane: the same samples, turned.
        let pixels = Array(try JPEGDCTTests.decode(bytes, format).frame.readableBytesView)
        format.isPlanar = true
        let planes = Array(try JPEGDCTTests.decode(bytes, format).frame.readableBytesView)
        #expect(planes == (0..<3).flatMap { sample in (0..<18 * 21).map { pixels[$0 * 3 + sample] } })
    }

    @Test("streams of libjpeg cut short at every byte", arguments: streams)
    func truncated(stream: Stream) throws {
        let bytes = stream.bytes
        let format = JPEGDCTTests.format(18, 21, 8, samples: 3)
        for byteCount in 0..<bytes.count - 2 {
            let part = Array(bytes[..<byteCount])
            #expect(throws: CodecError.self, "\(byteCount)") { try JPEGDCTTests.decode(part, format) }
        }
    }
}

/// FNV-1a of 64 bits.
struct FNVHash {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func update(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { bytes in
            for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }
    }
}
