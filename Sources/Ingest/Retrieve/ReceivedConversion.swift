// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import NIOCore
import PixelCodecs

/// Turns a data set that is stored as it was received into Explicit VR Little Endian with native pixel data.
///
/// Pure; decoding frames is handed out: `frames` are to be decoded as `decoding` says and given to `assemble`.
package struct ReceivedConversion: Sendable {
    /// How its frames are decoded; nil when there is nothing to decode.
    package let decoding: ImageDecoding?
    /// The encoded frames, one element a frame.
    package let frames: [ByteBuffer]
    /// The data set up to the value of Pixel Data, or all of it when there is nothing to decode.
    private let before: DataSet
    private let after: DataSet?

    /// Reads `dataSet`, which is in `transferSyntax`.
    ///
    /// Throws `.notAcceptable` for what can't be read or decoded here: it can still be had as it is stored.
    package init(_ dataSet: ByteBuffer, transferSyntax: TransferSyntax) throws(RetrieveFailure) {
        let head = try Self.reading(transferSyntax) { () throws(DICOMError) in
            try DataSetReader.readHeader(dataSet, transferSyntax: transferSyntax)
        }
        guard let location = head.pixelData, location.isEncapsulated else {
            self.before = try Self.reading(transferSyntax) { () throws(DICOMError) in
                try DataSetReader.read(dataSet, transferSyntax: transferSyntax).dataSet
            }
            self.after = nil
            self.decoding = nil
            self.frames = []
            return
        }
        let decoding = try ImageDecoding(header: head.dataSet, transferSyntax: transferSyntax.uid.string)
        (self.after, self.frames) = try Self.reading(transferSyntax) { () throws(DICOMError) in
            guard let endOffset = location.endOffset, location.tag == .pixelData,
                let rest = head.source.getSlice(
                    at: head.source.readerIndex + endOffset,
                    length: head.source.readableBytes - endOffset
                )
            else { throw DICOMError(.truncated, "the encapsulated value has no end") }
            let after = try DataSetReader.read(rest, encoding: transferSyntax.encoding).dataSet
            return (after, try Self.frames(location, of: head.source, count: decoding.frameCount))
        }
        var header = Self.native(head.dataSet)
        if let first = frames.first, let photometric = decoding.photometricInterpretation(decoding: first) {
            header.set(.photometricInterpretation, .cs, photometric)
        }
        self.before = header
        self.decoding = decoding
    }

    private static func reading<Value>(
        _ syntax: TransferSyntax,
        _ read: () throws(DICOMError) -> Value
    ) throws(RetrieveFailure) -> Value {
        do throws(DICOMError) {
            return try read()
        } catch {
            throw RetrieveFailure(.notAcceptable, "it can't be converted from \(syntax.uid): \(error)")
        }
    }

    /// The data set in Explicit VR Little Endian, in pieces; `decoded` are the native frames.
    package func assemble(_ decoded: [ByteBuffer]) throws(RetrieveFailure) -> [ByteBuffer] {
        do throws(DICOMError) {
            var head = try DataSetWriter.write(before, transferSyntax: .explicitVRLittleEndian)
            guard let decoding, let after else { return [head] }
            let valueByteCount = decoded.reduce(0) { $0 + $1.readableBytes }
            guard let count = UInt32(exactly: valueByteCount + valueByteCount % 2), count < .max else {
                throw DICOMError(.valueTooLong, "native pixel data would have 4 GiB and more")
            }
            // PS3.5 §A.2: OW when more than 8 bits are allocated; OB otherwise, where both are allowed.
            head.writePixelDataHeader(vr: decoding.format.bitsAllocated > 8 ? .ow : .ob, byteCount: count)
            var tail = ByteBuffer()
            if valueByteCount % 2 != 0 { tail.writeInteger(UInt8(0)) }
            try DataSetWriter.append(after, encoding: .explicitLittleEndian, to: &tail)
            return [head] + decoded + [tail]
        } catch {
            throw RetrieveFailure(.notAcceptable, "it can't be written as Explicit VR Little Endian: \(error)")
        }
    }

    /// The header as it is true of native pixel data.
    private static func native(_ header: DataSet) -> DataSet {
        var header = header
        header.remove(.extendedOffsetTable)
        header.remove(.extendedOffsetTableLengths)
        // JPEG 2000's decoder undoes its colour transform (PS3.5 §8.2.4).
        if let photometric = header.string(.photometricInterpretation), ["YBR_RCT", "YBR_ICT"].contains(photometric) {
            header.set(.photometricInterpretation, .cs, "RGB")
        }
        return header
    }

    /// Puts each frame together from its fragments (PS3.5 §A.4).
    private static func frames(
        _ location: PixelDataLocation,
        of source: ByteBuffer,
        count: Int
    ) throws(DICOMError) -> [ByteBuffer] {
        let fragments = location.fragments
        func bytes(_ range: Range<Int>) -> ByteBuffer {
            if range.count == 1 {
                let only = fragments[range.lowerBound]
                return source.getSlice(at: source.readerIndex + only.offset, length: only.byteCount) ?? ByteBuffer()
            }
            return range.reduce(into: ByteBuffer()) { frame, index in
                let fragment = fragments[index]
                if let slice = source.getSlice(at: source.readerIndex + fragment.offset, length: fragment.byteCount) {
                    frame.writeImmutableBuffer(slice)
                }
            }
        }
        if fragments.count == count { return (0..<count).map { bytes($0..<$0 + 1) } }
        if count == 1, !fragments.isEmpty { return [bytes(0..<fragments.count)] }
        // Several fragments a frame: the offset table says where each begins, relative to the first item's tag.
        guard location.basicOffsetTable.count == count, let first = fragments.first else {
            throw DICOMError(
                .invalidStructure,
                "\(fragments.count) fragments don't tell where \(count) frames begin"
            )
        }
        var starts: [Int] = []
        for offset in location.basicOffsetTable {
            guard let index = fragments.firstIndex(where: { $0.offset - first.offset == Int(offset) }),
                index > starts.last ?? -1
            else { throw DICOMError(.invalidStructure, "the basic offset table is wrong") }
            starts.append(index)
        }
        return starts.indices.map { bytes(starts[$0]..<(starts.dropFirst($0 + 1).first ?? fragments.count)) }
    }
}
