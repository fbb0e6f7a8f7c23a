// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import PixelCodecs
import SegmentFormat

/// The value of an instance's Pixel Data in native form, little endian, read piece by piece: any range of it costs what
/// the range costs, whatever the instance's size.
struct PixelDataValue: Sendable {
    fileprivate enum Content: Sendable {
        /// It lies in the record as it is, `offset` bytes into the payload; big endian words of `word` bytes.
        case stored(record: StoredRecord, offset: Int, word: Int)
        /// It is decoded frame by frame; `tail` follows the last.
        case frames(FrameReader.Source, frameByteCount: Int, tail: ByteBuffer)
    }

    /// Bytes read at once of what is stored native; a multiple of every word.
    private static let pieceByteCount = 4 << 20

    let byteCount: Int
    private let content: Content
    private let records: any RecordReader

    fileprivate init(byteCount: Int, records: any RecordReader, _ content: Content) {
        self.byteCount = byteCount
        self.content = content
        self.records = records
    }

    /// Hands the bytes of `range`, which is within the value, to `write`.
    func send(_ range: Range<Int>, _ write: ([ByteBuffer]) async throws -> Void) async throws {
        switch content {
        case .stored(let record, let offset, let word):
            for start in stride(from: range.lowerBound / word * word, to: range.upperBound, by: Self.pieceByteCount) {
                let wanted = max(start, range.lowerBound)..<min(start + Self.pieceByteCount, range.upperBound)
                // Whole words, so that they can be turned.
                let end = min((wanted.upperBound + word - 1) / word * word, byteCount)
                let piece = try await record.bytes(offset + start..<offset + end, records).swapped(every: word)
                try await write([try Self.cut(piece, wanted, from: start)])
            }
        case .frames(let source, let frameByteCount, let tail):
            let tailStart = byteCount - tail.readableBytes
            var start = range.lowerBound / frameByteCount * frameByteCount
            while start < min(range.upperBound, tailStart) {
                let frame = try await source.frame(start / frameByteCount + 1, isNative: true).bytes
                guard frame.readableBytes == frameByteCount else {
                    throw RetrieveFailure(.damaged, "a frame does not decode to its size")
                }
                let end = start + frameByteCount
                let wanted = max(start, range.lowerBound)..<min(end, range.upperBound)
                try await write([try Self.cut(frame, wanted, from: start)])
                start = end
            }
            let wanted = max(tailStart, range.lowerBound)..<max(tailStart, range.upperBound)
            if !wanted.isEmpty { try await write([try Self.cut(tail, wanted, from: tailStart)]) }
        }
    }

    private static func cut(
        _ bytes: ByteBuffer,
        _ range: Range<Int>,
        from start: Int
    ) throws(RetrieveFailure) -> ByteBuffer {
        let offset = bytes.readerIndex + range.lowerBound - start
        guard let cut = bytes.getSlice(at: offset, length: range.count) else {
            throw RetrieveFailure(.damaged, "the pixel data is shorter than its length says")
        }
        return cut
    }
}

extension FrameReader {
    /// The value of Pixel Data; to be called when there is room for the layout's `cost`.
    ///
    /// - Throws: `.notAcceptable` when it can't be decoded here.
    func value(_ layout: Layout) async throws(RetrieveFailure) -> PixelDataValue {
        guard layout.syntax.isEncapsulated else {
            let (offset, vr, byteCount) = try await pixelData(layout)
            guard let byteCount, offset + byteCount <= layout.record.instance.storedByteCount else {
                throw RetrieveFailure(.damaged, "the pixel data lies outside of its record")
            }
            let word = layout.syntax.isBigEndian ? Self.wordByteCount(vr, layout.description) : 1
            return PixelDataValue(
                byteCount: byteCount,
                records: records,
                .stored(record: layout.record, offset: offset, word: word)
            )
        }
        let stored = layout.record.instance.storedTransferSyntax
        let decoding = try ImageDecoding(header: layout.header, transferSyntax: stored)
        let tail = ByteBuffer(bytes: layout.record.metadata.restoration?.trailingBytes ?? [])
        let frameByteCount = decoding.format.frameByteCount
        let (frames, overflow) = frameByteCount.multipliedReportingOverflow(by: layout.frameCount)
        guard frameByteCount > 0, !overflow, frames <= .max - tail.readableBytes else {
            throw RetrieveFailure(.notAcceptable, "the image's description can't be right")
        }
        return PixelDataValue(
            byteCount: frames + tail.readableBytes,
            records: records,
            .frames(try await source(layout), frameByteCount: frameByteCount, tail: tail)
        )
    }
}
