// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import SegmentFormat

/// Reads single frames of an instance: one range of the record each, whatever the instance's size.
///
/// The exception is encapsulated pixel data that came in several fragments a frame: to find its frames, all of it is
/// read.
struct FrameReader: Sendable {
    /// A frame as it goes out.
    struct Frame: Sendable {
        let transferSyntax: String
        let bytes: ByteBuffer
    }

    /// Instances up to so many bytes are read whole, beside what describes them: then a frame costs one round trip, not
    /// three.
    let smallByteCount: Int
    /// Largest instance that is read whole to find its frames.
    let maximumWholeByteCount: Int
    let records: any RecordReader
    let decoder: FrameDecoder
    let layouts: LayoutCache

    /// What is known of an instance before any frame is read.
    struct Layout: Sendable {
        let record: StoredRecord
        let syntax: TransferSyntax
        let header: DataSet
        let description: ImagePixelDescription

        var frameCount: Int { description.numberOfFrames }

        /// Whether all of the instance has to be read to find its frames.
        var needsWhole: Bool { syntax.isEncapsulated && record.metadata.frames.count != frameCount }

        /// The bytes of memory that handing out its frames one after another takes, about: one stored and one native, or
        /// all that is stored and one native.
        var cost: Int {
            let frame = description.frameByteCount
            let isWhole = needsWhole || record.payload != nil
            return isWhole ? record.instance.storedByteCount + frame : 2 * frame
        }
    }

    /// Frames of one instance, handed out one at a time.
    struct Source: Sendable {
        let reader: FrameReader
        let layout: Layout
        /// The encoded frames, where all of the instance had to be read to find them.
        fileprivate let all: [ByteBuffer]?

        /// The frame with this number, which counts from 1 and is at most the layout's `frameCount`.
        ///
        /// With `isNative` it is decoded and little endian, as Explicit VR Little Endian has it, else as it is stored.
        /// - Returns: the frame and its transfer syntax.
        /// - Throws: `.notAcceptable` when it can't be decoded here.
        func frame(_ number: Int, isNative: Bool) async throws(RetrieveFailure) -> Frame {
            guard layout.syntax.isEncapsulated else { return try await reader.nativeFrame(number - 1, layout) }
            let stored = layout.record.instance.storedTransferSyntax
            let encoded: ByteBuffer
            if let all {
                encoded = all[number - 1]
            } else {
                encoded = try await reader.encodedFrame(number - 1, layout)
            }
            guard isNative else { return Frame(transferSyntax: stored, bytes: encoded) }
            let decoding = try ImageDecoding(header: layout.header, transferSyntax: stored)
            let decoded = try await reader.decoder.decode([encoded], as: decoding)
            guard let frame = decoded.first else { throw RetrieveFailure(.damaged, "a frame decoded to nothing") }
            return Frame(transferSyntax: TransferSyntax.explicitVRLittleEndian.uid.string, bytes: frame)
        }
    }

    /// Makes the frames of an instance ready to be handed out; to be called when there is room for the layout's `cost`.
    func source(_ layout: Layout) async throws(RetrieveFailure) -> Source {
        Source(reader: self, layout: layout, all: layout.needsWhole ? try await allFrames(layout) : nil)
    }

    /// Reads what has to be known of an instance to read its frames.
    ///
    /// - Throws: `.notFound` when there are no frames, `.notAcceptable` when the image's description is not understood.
    func layout(of instance: StoredInstance) async throws(RetrieveFailure) -> Layout {
        if let known = layouts[instance.recordID] {
            let record = StoredRecord(instance: instance, metadata: known.record.metadata, payload: nil)
            return Layout(record: record, syntax: known.syntax, header: known.header, description: known.description)
        }
        let isSmall = instance.storedByteCount <= smallByteCount
        let record = try await StoredRecord.read(instance, from: records, isWhole: isSmall)
        guard let syntax = TransferSyntax.known(record.metadata.storedTransferSyntax), !syntax.isDeflated,
            record.metadata.pixelDataOffset != nil
        else { throw RetrieveFailure(.notFound, "the instance has no frames that can be read one by one") }
        // Copied: what is kept must not keep the whole payload.
        let stored = ByteBuffer(bytes: try await record.before(records).readableBytesView)
        guard let before = record.metadata.restoration.map({ $0.restored(stored) }) ?? stored else {
            throw RetrieveFailure(.damaged, "a change made when it was stored lies outside of the data set")
        }
        do throws(DICOMError) {
            let header = try DataSetReader.read(before, transferSyntax: syntax).dataSet
            let description = try ImagePixelDescription(header)
            let kept = StoredRecord(instance: instance, metadata: record.metadata, payload: nil)
            layouts.keep(
                Layout(record: kept, syntax: syntax, header: header, description: description),
                instance.recordID,
                byteCount: before.readableBytes
            )
            return Layout(record: record, syntax: syntax, header: header, description: description)
        } catch {
            throw RetrieveFailure(.notAcceptable, "the image's description can't be read: \(error)")
        }
    }

    // MARK: Encapsulated

    private func encodedFrame(_ index: Int, _ layout: Layout) async throws(RetrieveFailure) -> ByteBuffer {
        let record = layout.record
        let location = record.metadata.frames[index]
        guard let offset = Int(exactly: location.offset), let count = Int(exactly: location.byteCount),
            count <= record.instance.storedByteCount, offset <= record.instance.storedByteCount - count
        else { throw RetrieveFailure(.damaged, "record \(record.instance.recordID) has a frame outside of it") }
        return try await record.bytes(offset..<offset + count, records)
    }

    private func allFrames(_ layout: Layout) async throws(RetrieveFailure) -> [ByteBuffer] {
        let instance = layout.record.instance
        guard instance.storedByteCount <= maximumWholeByteCount else {
            throw RetrieveFailure(.notAcceptable, "its frames are in several fragments each, and it is too large")
        }
        let payload = try await layout.record.bytes(0..<instance.storedByteCount, records)
        guard let dataSet = payload.slice(from: layout.record.metadata.dataSetOffset) else {
            throw RetrieveFailure(.damaged, "record \(instance.recordID) has no data set")
        }
        let frames = try ReceivedConversion(dataSet, transferSyntax: layout.syntax).frames
        guard frames.count == layout.description.numberOfFrames else {
            throw RetrieveFailure(.notAcceptable, "its fragments don't tell where its frames begin")
        }
        return frames
    }

    // MARK: Native

    private func nativeFrame(_ index: Int, _ layout: Layout) async throws(RetrieveFailure) -> Frame {
        let (value, vr, _) = try await pixelData(layout)
        let bitCount = layout.description.frameBitCount
        // Frames of single bits follow each other without padding (PS3.5 §8.1.1).
        let (firstBit, overflow) = bitCount.multipliedReportingOverflow(by: index)
        guard !overflow, firstBit <= .max - bitCount - 64 else {
            throw RetrieveFailure(.damaged, "the frame lies outside of the pixel data")
        }
        // Big endian bytes are swapped by the words of the VR, in which a frame may begin in the middle.
        let word = layout.syntax.isBigEndian ? Self.wordByteCount(vr, layout.description) : 1
        let start = firstBit / 8 / word * word
        let end = ((firstBit + bitCount + 7) / 8 + word - 1) / word * word
        let whole = min(value + end, layout.record.instance.storedByteCount)
        guard value + (firstBit + bitCount + 7) / 8 <= whole else {
            throw RetrieveFailure(.notFound, "the pixel data ends before that frame")
        }
        var bytes = try await layout.record.bytes(value + start..<whole, records)
        if word > 1 { bytes = bytes.swapped(every: word) }
        bytes.moveReaderIndex(forwardBy: firstBit / 8 - start)
        return Frame(
            transferSyntax: TransferSyntax.explicitVRLittleEndian.uid.string,
            bytes: bytes.bits(from: firstBit % 8, count: bitCount)
        )
    }

    /// Bytes of what big endian reverses: words of OW, but whole samples where these are longer (PS3.5 §7.3).
    static func wordByteCount(_ vr: VR, _ description: ImagePixelDescription) -> Int {
        vr == .ow ? max(vr.wordByteCount, description.bitsAllocated / 8) : vr.wordByteCount
    }

    /// Where the value of Pixel Data begins in the payload, behind the element's header, which is read; its VR, and its length when
    /// that is defined.
    func pixelData(
        _ layout: Layout
    ) async throws(RetrieveFailure) -> (valueOffset: Int, vr: VR, byteCount: Int?) {
        let metadata = layout.record.metadata
        guard let offset = metadata.pixelDataOffset, offset <= layout.record.instance.storedByteCount - 12 else {
            throw RetrieveFailure(.damaged, "the record does not say where its pixel data are")
        }
        let header = try await layout.record.bytes(offset..<offset + 12, records)
        do throws(DICOMError) {
            guard let location = try PixelDataLocation.find(in: header, transferSyntax: layout.syntax) else {
                throw DICOMError(.invalidStructure, "no Pixel Data where it should be")
            }
            return (offset + location.valueOffset, location.vr, location.byteCount)
        } catch {
            throw RetrieveFailure(.damaged, "the pixel data's header can't be read: \(error)")
        }
    }
}

extension ByteBuffer {
    /// `count` bits from bit `offset` (0 to 7) of the first byte on, moved to the beginning; the least significant bit
    /// of a byte is its first, and bits beyond the last are 0.
    fileprivate func bits(from offset: Int, count: Int) -> ByteBuffer {
        let byteCount = (count + 7) / 8
        guard offset != 0 || count % 8 != 0 else { return getSlice(at: readerIndex, length: byteCount) ?? self }
        let source = readableBytesView
        var result = ByteBufferAllocator().buffer(capacity: byteCount)
        for index in source.startIndex..<source.startIndex + byteCount {
            let low = source[index] >> UInt8(offset)
            let high = offset > 0 && index + 1 < source.endIndex ? source[index + 1] << UInt8(8 - offset) : 0
            let isLast = index == source.startIndex + byteCount - 1
            let mask = isLast && count % 8 != 0 ? UInt8(1 << (count % 8)) - 1 : 0xFF
            result.writeInteger((low | high) & mask)
        }
        return result
    }
}
