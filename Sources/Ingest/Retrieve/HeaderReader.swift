// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import SegmentFormat

/// Reads what an instance says of itself, without its pixel data.
struct HeaderReader: Sendable {
    /// Read at once, beside the record's metadata: most headers are within it, so that an instance costs one round trip.
    private static let firstByteCount = 32 << 10
    /// Largest part of a payload that is read for its elements.
    private static let maximumByteCount = 256 << 20

    /// The longest header of an element (PS3.5 §7.1.2).
    private static let elementHeaderByteCount = 12

    let records: any RecordReader

    /// What an instance says of itself.
    struct Header: Sendable {
        /// All elements but Pixel Data, as they were when the instance was received.
        let dataSet: DataSet
        /// Which Pixel Data there is, if any: the tag, and the VR as received.
        let pixelData: (tag: Tag, vr: VR)?
    }

    /// All elements but Pixel Data, as they were when the instance was received.
    func dataSet(of instance: StoredInstance) async throws(RetrieveFailure) -> DataSet {
        try await header(of: instance).dataSet
    }

    /// The same, and which Pixel Data there is.
    func header(of instance: StoredInstance) async throws(RetrieveFailure) -> Header {
        async let first = records.read(
            instance.recordID,
            copies: instance.nodes,
            range: 0..<min(Self.firstByteCount, instance.storedByteCount)
        )
        let metadata = try await StoredRecord.metadata(of: instance, from: records)
        let prefix: ByteBuffer
        do {
            prefix = try await first
        } catch {
            throw (error as? RetrieveFailure) ?? RetrieveFailure(.unavailable, "\(error)")
        }
        let parts = try Self.parts(metadata, of: instance)
        // The header of Pixel Data comes with what is before it.
        let withHeader =
            parts.before
            .lowerBound..<min(
                parts.before.upperBound + Self.elementHeaderByteCount,
                instance.storedByteCount
            )
        var before = try await bytes(withHeader, prefix, instance)
        let pixelHeader = before.slice(from: parts.before.count) ?? ByteBuffer()
        before = before.getSlice(at: before.readerIndex, length: parts.before.count) ?? before
        let after = try await bytes(parts.after, prefix, instance)
        return Header(
            dataSet: try Self.parse(before, after, metadata: metadata),
            pixelData: Self.pixelData(metadata, pixelHeader)
        )
    }

    /// Tag and VR of Pixel Data, from the first bytes of its element; nil when there is none, or it can't be told.
    private static func pixelData(_ metadata: InstanceMetadata, _ header: ByteBuffer) -> (tag: Tag, vr: VR)? {
        guard metadata.pixelDataOffset != nil, let syntax = TransferSyntax.known(metadata.storedTransferSyntax) else {
            return nil
        }
        // What can't be read here has been read when it was stored; the metadata are shown without it.
        guard let location = try? PixelDataLocation.find(in: header, transferSyntax: syntax) else { return nil }
        return (location.tag, metadata.restoration.map { VR(rawValue: $0.pixelVR) } ?? location.vr)
    }

    /// Where the elements before and after Pixel Data are in the payload.
    private static func parts(
        _ metadata: InstanceMetadata,
        of instance: StoredInstance
    ) throws(RetrieveFailure) -> (before: Range<Int>, after: Range<Int>) {
        let end = instance.storedByteCount
        let pixelDataOffset = metadata.pixelDataOffset ?? end
        // Where the end of Pixel Data is not known, nothing after it is shown.
        let pixelEndOffset = metadata.pixelEndOffset ?? end
        guard metadata.dataSetOffset <= pixelDataOffset, pixelDataOffset <= pixelEndOffset, pixelEndOffset <= end else {
            throw RetrieveFailure(.damaged, "record \(instance.recordID) has its pixel data outside of its payload")
        }
        let before = metadata.dataSetOffset..<pixelDataOffset
        let after = pixelEndOffset..<end
        guard before.count + after.count <= maximumByteCount else {
            throw RetrieveFailure(
                .notAcceptable,
                "instance \(instance.sopInstanceUID) has too many bytes outside of its pixel data"
            )
        }
        return (before, after)
    }

    /// A range of the payload, from the bytes already read as far as they go.
    private func bytes(
        _ range: Range<Int>,
        _ prefix: ByteBuffer,
        _ instance: StoredInstance
    ) async throws(RetrieveFailure) -> ByteBuffer {
        if range.isEmpty { return ByteBuffer() }
        if let found = prefix.getSlice(at: prefix.readerIndex + range.lowerBound, length: range.count) { return found }
        let found = try await records.read(instance.recordID, copies: instance.nodes, range: range)
        guard found.readableBytes == range.count else {
            throw RetrieveFailure(.damaged, "record \(instance.recordID) is shorter than its metadata say")
        }
        return found
    }

    private static func parse(
        _ before: ByteBuffer,
        _ after: ByteBuffer,
        metadata: InstanceMetadata
    ) throws(RetrieveFailure) -> DataSet {
        guard let before = metadata.restoration.map({ $0.restored(before) }) ?? before else {
            throw RetrieveFailure(.damaged, "a change made when it was stored lies outside of the data set")
        }
        guard let syntax = TransferSyntax.known(metadata.storedTransferSyntax) else {
            throw RetrieveFailure(.notAcceptable, "the transfer syntax \(metadata.storedTransferSyntax) is not known")
        }
        do throws(DICOMError) {
            var dataSet = try DataSetReader.readHeader(before, transferSyntax: syntax).dataSet
            if after.readableBytes > 0 {
                for element in try DataSetReader.read(after, encoding: dataSet.encoding).dataSet.elements {
                    dataSet.append(element)
                }
            }
            return dataSet
        } catch {
            throw RetrieveFailure(.notAcceptable, "its elements can't be read: \(error)")
        }
    }
}
