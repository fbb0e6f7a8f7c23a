// SPDX-License-Identifier: Apache-2.0

import DICOM
public import NIOCore

/// What the beginning of a compressed frame says of how it is compressed.
///
/// A store transaction may leave the transfer syntax to the media type, whose default is one of several and often not
/// the one that was used (PS3.18 table 8.7.3-2: `image/jpeg` alone means lossless). A frame under the wrong name does not
/// decode, or passes for lossless though it is not, so the stream has the last word.
public enum FrameStream {
    public enum Finding: Sendable, Hashable {
        /// UIDs of the syntaxes that the stream is right in, the one that says most of it first.
        case syntaxes([String])
        /// It does not begin like any stream known here.
        case unknown
        /// JPEG 2000 in the boxes of a file, which no transfer syntax has (PS3.5 §A.4.4).
        case boxed
    }

    /// Looks at the first bytes of a frame; a MiB is enough for all but odd ones.
    public static func look(at head: ByteBuffer) -> Finding {
        var bytes = head
        guard let start = bytes.readInteger(as: UInt16.self) else { return .unknown }
        switch start {
        case 0xFFD8: return jpeg(&bytes)
        case 0xFF4F: return jpeg2000(&bytes)
        case 0x0000 where head.readableBytesView.dropFirst(4).starts(with: "jP  ".utf8): return .boxed
        default: return .unknown
        }
    }

    /// ISO/IEC 10918-1 annex B: marker segments up to the start of the first scan; ISO/IEC 14495-1 annex C for JPEG-LS.
    private static func jpeg(_ bytes: inout ByteBuffer) -> Finding {
        var frame: UInt8?
        while let (marker, segment) = nextSegment(&bytes) {
            switch marker {
            // SOF0 to SOF15 without DHT, JPG and DAC, and SOF55 of JPEG-LS.
            case 0xC0...0xC3, 0xC5...0xC7, 0xC9...0xCB, 0xCD...0xCF, 0xF7: frame = marker
            case 0xDA: return scan(segment, of: frame)
            default: break
            }
        }
        return .unknown
    }

    private static func scan(_ segment: ByteBuffer, of frame: UInt8?) -> Finding {
        guard let componentCount = segment.getInteger(at: segment.readerIndex, as: UInt8.self),
            // Behind the components: the selection value of lossless JPEG, NEAR of JPEG-LS.
            let parameter = segment.getInteger(
                at: segment.readerIndex + 1 + 2 * Int(componentCount),
                as: UInt8.self
            )
        else { return .unknown }
        switch frame {
        case 0xC0: return .syntaxes([jpeg(".50"), jpeg(".51")])
        case 0xC1: return .syntaxes([jpeg(".51")])
        case 0xC2: return .syntaxes([jpeg(".55")])
        case 0xC3: return .syntaxes(parameter == 1 ? [jpeg(".70"), jpeg(".57")] : [jpeg(".57")])
        case 0xF7: return .syntaxes(parameter == 0 ? [jpeg(".80"), jpeg(".81")] : [jpeg(".81")])
        default: return .unknown
        }
    }

    /// ISO/IEC 15444-1 annex A: the coding style decides between 5/3 and 9/7, its block style and CAP name 15444-15.
    private static func jpeg2000(_ bytes: inout ByteBuffer) -> Finding {
        var isHighThroughput = false
        while let (marker, segment) = nextSegment(&bytes) {
            switch marker {
            case 0x50: isHighThroughput = true
            case 0x52:
                // Scod, four bytes of SGcod, then SPcod: levels, block width and height, style, transformation.
                guard let style = segment.getInteger(at: segment.readerIndex + 8, as: UInt8.self),
                    let transformation = segment.getInteger(at: segment.readerIndex + 9, as: UInt8.self)
                else { return .unknown }
                let isReversible = transformation == 1
                if isHighThroughput || style & 0x40 != 0 {
                    return .syntaxes(isReversible ? [jpeg(".201"), jpeg(".202"), jpeg(".203")] : [jpeg(".203")])
                }
                let names = isReversible ? [".90", ".91", ".92", ".93"] : [".91", ".93"]
                return .syntaxes(names.map(jpeg))
            default: break
            }
        }
        return .unknown
    }

    /// The next marker with the bytes of its segment; nil where the bytes end or no marker stands.
    private static func nextSegment(_ bytes: inout ByteBuffer) -> (marker: UInt8, segment: ByteBuffer)? {
        guard bytes.readInteger(as: UInt8.self) == 0xFF else { return nil }
        var marker = bytes.readInteger(as: UInt8.self)
        // Any number of fill bytes may stand before a marker (ISO/IEC 10918-1 B.1.1.2).
        while marker == 0xFF { marker = bytes.readInteger(as: UInt8.self) }
        guard let marker, let count = bytes.readInteger(as: UInt16.self), count >= 2,
            let segment = bytes.readSlice(length: Int(count) - 2)
        else { return nil }
        return (marker, segment)
    }

    private static func jpeg(_ suffix: String) -> String { "1.2.840.10008.1.2.4" + suffix }
}
