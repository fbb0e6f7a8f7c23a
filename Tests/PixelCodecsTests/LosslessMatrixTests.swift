// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// The lossless matrix: bits allocated x bits stored x high bit x signed x what the upper bits hold x planar x colour,
/// all generated.
///
/// What a codec takes comes back equal in every allocated bit; what it does not is refused in words, and which is which
/// is the table below: the bits stored that each codec carries.
@Suite struct LosslessMatrixTests {
    /// A codec with its options, as the table names it.
    enum Way: String, CaseIterable, Sendable {
        case jpegLS = "JPEG-LS"
        case jpeg2000 = "JPEG 2000"
        case jpeg2000RCT = "JPEG 2000 RCT"
        case htj2k = "HTJ2K"
        case htj2kRCT = "HTJ2K RCT"

        var codec: PixelCodec {
            switch self {
            case .jpegLS: .jpegLS
            case .jpeg2000, .jpeg2000RCT: .jpeg2000
            case .htj2k, .htj2kRCT: .htj2k
            }
        }

        var options: PixelCodec.EncodingOptions {
            .init(usesReversibleColourTransform: self == .jpeg2000RCT || self == .htj2kRCT)
        }
    }

    /// A column of the table.
    ///
    /// Clean: nothing above Bits Stored but the sign. Dirty: rubbish there. Raised: High Bit above Bits Stored - 1.
    enum Bits: CaseIterable, Sendable {
        case clean, dirty, signedClean, signedDirty, raised

        var content: Content {
            switch self {
            case .clean: .smooth
            case .signedClean: .signExtended
            case .dirty, .signedDirty, .raised: .dirty
            }
        }
    }

    /// Bits stored that come back, by column; `-` where all stay native.
    ///
    /// Signed samples with rubbish above them are not for JPEG-LS, whose readers extend the sign. With 32 bits
    /// allocated the codecs' own width decides; such frames with more stored, or with rubbish, stay native.
    static let table: [String] = [
        "way            allocated  clean  dirty  signed  signed dirty  raised",
        "JPEG-LS        8          1-8    1-8    1-8     8             1-7",
        "JPEG-LS        16         1-16   1-16   1-16    16            1-15",
        "JPEG-LS        32         -      -      -       -             -",
        "JPEG 2000      8          1-8    1-8    1-8     1-8           1-7",
        "JPEG 2000      16         1-16   1-16   1-16    1-16          1-15",
        "JPEG 2000      32         1-23   -      1-23    -             -",
        "JPEG 2000 RCT  8          1-8    1-8    1-8     1-8           1-7",
        "JPEG 2000 RCT  16         1-16   1-16   1-16    1-16          1-15",
        "JPEG 2000 RCT  32         1-22   -      1-22    -             -",
        "HTJ2K          8          1-8    1-8    1-8     1-8           1-7",
        "HTJ2K          16         1-16   1-16   1-16    1-16          1-15",
        "HTJ2K          32         1-26   -      1-26    -             -",
        "HTJ2K RCT      8          1-8    1-8    1-8     1-8           1-7",
        "HTJ2K RCT      16         1-16   1-16   1-16    1-16          1-15",
        "HTJ2K RCT      32         1-25   -      1-25    -             -",
    ]

    @Test("what goes in comes out, or is refused in words", arguments: Way.allCases, [8, 16, 32])
    func matrix(way: Way, allocated: Int) throws {
        let scratch = CodecScratch()
        var cells: [String] = []
        for bits in Bits.allCases {
            var carried: [Int] = []
            for stored in 1...allocated {
                var verdicts: Set<Bool> = []
                for format in Self.formats(way, bits, allocated: allocated, stored: stored) {
                    verdicts.insert(try Self.carries(format, way, bits.content, scratch))
                }
                // The colour model and the plane order never decide.
                #expect(verdicts.count <= 1, "\(way) \(allocated) \(bits) \(stored)")
                if verdicts == [true] { carried.append(stored) }
            }
            cells.append(Self.ranges(carried))
        }
        let row = Self.row([way.rawValue, String(allocated)] + cells)
        #expect(Self.table.contains(row), "got: \(row)")
    }

    /// Every format of a cell for one number of bits stored.
    private static func formats(_ way: Way, _ bits: Bits, allocated: Int, stored: Int) -> [PixelFormat] {
        // Where the stored bits may end: at their own number, or higher up.
        let highBits =
            bits == .raised
            ? Set([stored, (stored + allocated) / 2, allocated - 1]).filter { $0 >= stored } : [stored - 1]
        let signs = bits == .raised ? [false, true] : [bits == .signedClean || bits == .signedDirty]
        let models: [(Photometric, Int)] =
            way.options.usesReversibleColourTransform
            ? [(.rgb, 3)] : [(.monochrome, 1), (.palette, 1), (.rgb, 3), (.ybrFull, 3)]
        return highBits.sorted().flatMap { highBit in
            signs.flatMap { isSigned in
                models.flatMap { photometric, samplesPerPixel in
                    (samplesPerPixel == 1 ? [false] : [false, true]).map { isPlanar in
                        PixelFormat(
                            rows: 5,
                            columns: 7,
                            samplesPerPixel: samplesPerPixel,
                            bitsAllocated: allocated,
                            bitsStored: stored,
                            highBit: highBit,
                            isSigned: isSigned,
                            isPlanar: isPlanar,
                            photometric: photometric
                        )
                    }
                }
            }
        }
    }

    /// Whether the frame comes back; false when it was refused, of which the format's own refusal is a part.
    private static func carries(
        _ format: PixelFormat,
        _ way: Way,
        _ content: Content,
        _ scratch: CodecScratch
    ) throws -> Bool {
        let (codec, options) = (way.codec, way.options)
        let frame = format.makeFrame(content)
        let refusal = codec.refusal(of: format, options: options)
        let encoded: ByteBuffer
        do throws(CodecError) {
            encoded = try codec.encode(frame, format: format, options: options, scratch: scratch)
        } catch {
            #expect(error.code == .unsupported && !error.message.isEmpty)
            return false
        }
        #expect(refusal == nil)
        let comment: Comment = "\(way) \(format.label) \(content) seed \(SeededGenerator.seed)"
        #expect(try codec.decode(encoded, format: format, scratch: scratch) == frame, comment)
        let isProven = try codec.proveFresh(encoded, equals: frame, format: format, options: options, scratch: scratch)
        #expect(isProven, comment)
        return true
    }

    /// `1-8`, `3`, `1-4 9-16`, or `-` for none.
    private static func ranges(_ numbers: [Int]) -> String {
        var ranges: [ClosedRange<Int>] = []
        for number in numbers {
            if let last = ranges.last, last.upperBound == number - 1 {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
        let texts = ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
        return texts.isEmpty ? "-" : texts.joined(separator: " ")
    }

    private static func row(_ cells: [String]) -> String {
        let widths = [15, 11, 7, 7, 8, 14, 0]
        return zip(cells, widths).map { $0 + String(repeating: " ", count: max(0, $1 - $0.count)) }.joined()
    }
}
