// SPDX-License-Identifier: Apache-2.0

import DICOM
import Foundation
import Ingest
import NIOCore
import PixelCodecs

/// Re-codes the frames of an image on the command line: compressed to native, native to compressed without loss.
///
/// What is encoded is decoded again and compared; a frame that does not come back is an error.
enum FrameRecoding {
    /// The codec that writes a transfer syntax; nil where none here does.
    static func encoder(of syntax: TransferSyntax) -> PixelCodec? {
        switch syntax {
        case .jpegLSLossless: .jpegLS
        case .jpeg2000Lossless: .jpeg2000
        case .htj2kLossless: .htj2k
        case .rleLossless: .rle
        default: nil
        }
    }

    /// The data set in Explicit VR Little Endian with native pixel data, as the archive gives it back.
    ///
    /// - Throws: ``CommandError`` where the pixel data can't be decoded here.
    static func native(_ body: ByteBuffer, from syntax: TransferSyntax) throws -> DataSet {
        do {
            let conversion = try ReceivedConversion(body, transferSyntax: syntax)
            var frames: [ByteBuffer] = []
            if let decoding = conversion.decoding {
                for frame in conversion.frames {
                    frames.append(try decoding.codec.decode(frame, format: decoding.format))
                }
            }
            var whole = ByteBuffer()
            for var piece in try conversion.assemble(frames) { whole.writeBuffer(&piece) }
            return try DataSetReader.read(whole, transferSyntax: .explicitVRLittleEndian).dataSet
        } catch {
            throw CommandError("its pixel data can't be decoded: \(error)")
        }
    }

    /// `dataSet`, native and little endian, with its frames encoded by `codec`.
    ///
    /// - Throws: ``CommandError`` where the codec can't carry the image, or a frame does not come back.
    static func encoded(_ dataSet: DataSet, with codec: PixelCodec) throws -> DataSet {
        guard let pixels = dataSet[.pixelData]?.value.bytes else { throw CommandError("it has no native pixel data") }
        let description: ImagePixelDescription
        do {
            description = try ImagePixelDescription(dataSet)
        } catch {
            throw CommandError("its image can't be encoded: \(error)")
        }
        let format = PixelFormat(description)
        if let refusal = codec.refusal(of: format) { throw CommandError("its image can't be encoded: \(refusal)") }
        var fragments: [ByteBuffer] = []
        var table = ByteBuffer()
        var offset = 0
        for index in 0..<description.numberOfFrames {
            let start = pixels.readerIndex + index * format.frameByteCount
            guard let frame = pixels.getSlice(at: start, length: format.frameByteCount) else {
                throw CommandError("its pixel data ends before frame \(index + 1)")
            }
            var encoded = try codec.encode(frame, format: format)
            guard try codec.prove(encoded, equals: frame, format: format) else {
                throw CommandError("frame \(index + 1) does not decode to what it was; nothing is written")
            }
            if encoded.readableBytes % 2 != 0 { encoded.writeInteger(UInt8(0)) }
            table.writeInteger(UInt32(clamping: offset), endianness: .little)
            offset += 8 + encoded.readableBytes
            fragments.append(encoded)
        }
        guard offset <= Int(UInt32.max) else { throw CommandError("its frames pass 4 GiB, which convert can't write") }
        var result = dataSet
        result.set(
            DataElement(
                tag: .pixelData,
                vr: .ob,
                value: .fragments(EncapsulatedValue(basicOffsetTable: table, fragments: fragments)),
                hasUndefinedLength: true
            )
        )
        // PS3.5 §8.2.3 and §8.2.4; RLE keeps planes, which is what it codes.
        if description.samplesPerPixel > 1, codec != .rle { result.set(.planarConfiguration, .us, integers: [0]) }
        return result
    }
}
