// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import ReplicationProtocol
import SegmentFormat

/// A record being read: its metadata, and its payload when that is small.
struct StoredRecord: Sendable {
    let instance: StoredInstance
    let metadata: InstanceMetadata
    /// The whole payload; nil when it is to be read range by range.
    let payload: ByteBuffer?

    static func read(
        _ instance: StoredInstance,
        from records: any RecordReader,
        isWhole: Bool
    ) async throws(RetrieveFailure) -> StoredRecord {
        // The payload is on its way while the metadata are.
        async let bytes = Self.payload(of: instance, from: records, isWhole: isWhole)
        let metadata = try await Self.metadata(of: instance, from: records)
        do {
            let payload = try await bytes
            guard payload == nil || payload?.readableBytes == instance.storedByteCount else {
                throw RetrieveFailure(.damaged, "record \(instance.recordID) is not as long as the catalog says")
            }
            return StoredRecord(instance: instance, metadata: metadata, payload: payload)
        } catch {
            throw (error as? RetrieveFailure) ?? RetrieveFailure(.unavailable, "\(error)")
        }
    }

    private static func payload(
        of instance: StoredInstance,
        from records: any RecordReader,
        isWhole: Bool
    ) async throws(RetrieveFailure) -> ByteBuffer? {
        guard isWhole else { return nil }
        return try await records.read(instance.recordID, copies: instance.nodes, range: nil)
    }

    static func metadata(
        of instance: StoredInstance,
        from records: any RecordReader
    ) async throws(RetrieveFailure) -> InstanceMetadata {
        let head = try await records.head(instance.recordID, copies: instance.nodes)
        do throws(SegmentFormatError) {
            let metadata = try InstanceMetadata(decoding: head.metadata)
            guard metadata.sopInstanceUID == instance.sopInstanceUID else {
                throw SegmentFormatError(.malformed, "it belongs to another instance")
            }
            return metadata
        } catch {
            throw RetrieveFailure(.damaged, "the metadata of record \(instance.recordID) can't be read: \(error)")
        }
    }

    /// The data set's bytes before Pixel Data.
    func before(_ records: any RecordReader) async throws(RetrieveFailure) -> ByteBuffer {
        guard let pixelDataOffset = metadata.pixelDataOffset, metadata.dataSetOffset <= pixelDataOffset else {
            throw RetrieveFailure(.damaged, "record \(instance.recordID) does not say where its pixel data are")
        }
        return try await bytes(metadata.dataSetOffset..<pixelDataOffset, records)
    }

    /// The data set's bytes after Pixel Data.
    func after(_ records: any RecordReader) async throws(RetrieveFailure) -> ByteBuffer {
        guard let pixelEndOffset = metadata.pixelEndOffset, pixelEndOffset <= instance.storedByteCount else {
            throw RetrieveFailure(.damaged, "record \(instance.recordID) does not say where its pixel data end")
        }
        return try await bytes(pixelEndOffset..<instance.storedByteCount, records)
    }

    /// A range of the payload.
    func bytes(_ range: Range<Int>, _ records: any RecordReader) async throws(RetrieveFailure) -> ByteBuffer {
        if range.isEmpty { return ByteBuffer() }
        let found: ByteBuffer?
        if let payload {
            found = payload.getSlice(at: payload.readerIndex + range.lowerBound, length: range.count)
        } else {
            found = try await records.read(instance.recordID, copies: instance.nodes, range: range)
        }
        guard let found, found.readableBytes == range.count else {
            throw RetrieveFailure(.damaged, "record \(instance.recordID) is shorter than its metadata say")
        }
        return found
    }
}

/// File meta information of what is delivered.
enum FileMetaBytes {
    /// Preamble, prefix and group 0002 for the output syntax.
    static func make(
        _ metadata: InstanceMetadata,
        transferSyntax: TransferSyntax
    ) throws(RetrieveFailure) -> ByteBuffer {
        do throws(DICOMError) {
            return try StoredFileMeta.bytes(
                sopClassUID: metadata.sopClassUID,
                sopInstanceUID: metadata.sopInstanceUID,
                transferSyntax: transferSyntax
            )
        } catch {
            throw RetrieveFailure(.damaged, "no file meta information can be made: \(error)")
        }
    }
}

extension ByteBuffer {
    /// Everything from `offset` on, counted from the first readable byte; shares storage.
    func slice(from offset: Int) -> ByteBuffer? {
        guard (0...readableBytes).contains(offset) else { return nil }
        return getSlice(at: readerIndex + offset, length: readableBytes - offset)
    }
}
