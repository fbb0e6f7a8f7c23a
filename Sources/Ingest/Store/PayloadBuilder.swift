// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
package import NIOCore
import SegmentFormat
package import Telemetry

/// Builds the payload and metadata of one instance: a Part 10 stream as received, or with compressed pixel data.
package struct PayloadBuilder {
    private(set) var instance: ReceivedInstance
    private let sender: StorePipeline.Sender
    private let receivedAt: Timestamp

    package init(_ instance: ReceivedInstance, sender: StorePipeline.Sender, receivedAt: Timestamp) {
        self.instance = instance
        self.sender = sender
        self.receivedAt = receivedAt
    }

    /// The data set as it came, behind file meta information.
    package func asReceived(note: String) throws(StoreFailure) -> StoredForm {
        // Not copied behind the file meta information: both are sent as they lie.
        let meta = try fileMeta(transferSyntax: instance.transferSyntax, reserving: 0)
        let dataSetOffset = meta.readableBytes
        var hasher = SHA256Hasher()
        hasher.update(meta)
        hasher.update(instance.head)
        let digest = hasher.digest()
        var metadata = metadata(
            storedTransferSyntax: instance.transferSyntax,
            digests: InstanceDigests(received: digest, pixels: nil),
            note: note
        )
        metadata.dataSetOffset = dataSetOffset
        if let location = instance.pixelData, !instance.transferSyntax.isDeflated {
            metadata.pixelDataOffset = dataSetOffset + location.elementOffset
            metadata.pixelEndOffset = location.endOffset.map { dataSetOffset + $0 }
            metadata.frames = Self.frames(location, dataSetOffset: dataSetOffset, header: instance.header)
        }
        return try StoredForm(pieces: [meta, instance.head], payloadDigest: digest, metadata: metadata)
    }

    /// Where the frames of encapsulated pixel data lie in the payload; empty unless each is one fragment.
    private static func frames(
        _ location: PixelDataLocation,
        dataSetOffset: Int,
        header: DataSet
    ) -> [FrameLocation] {
        let count = max(1, header.integer(.numberOfFrames) ?? 1)
        guard location.isEncapsulated, location.fragments.count == count,
            count <= CompressionPlan.maximumFrameCount
        else { return [] }
        return location.fragments.map { fragment in
            FrameLocation(offset: UInt64(dataSetOffset + fragment.offset), byteCount: UInt64(fragment.byteCount))
        }
    }

    /// The data set with its pixel data replaced by `frames`, encoded as `plan` says.
    package func compressed(
        _ frames: [ByteBuffer],
        plan: CompressionPlan,
        digests: InstanceDigests
    ) throws(StoreFailure) -> StoredForm {
        guard let before = instance.head.slice(at: 0..<plan.elementOffset),
            let after = instance.head.slice(at: plan.endOffset..<instance.head.readableBytes),
            let surplus = instance.head.slice(at: plan.surplusRange)
        else {
            throw StoreFailure(.processing, "the pixel data's place is not within the data set")
        }
        let header = try StoredHeader(instance, plan: plan, before: before, after: after, surplus: surplus)
        let byteCount =
            header.before.readableBytes + EncapsulatedPixelData.byteCount(frames: frames) + header.after.readableBytes
        var payload = try fileMeta(transferSyntax: plan.transferSyntax, reserving: byteCount)
        let dataSetOffset = payload.writerIndex
        payload.writeImmutableBuffer(header.before)
        let pixelDataOffset = payload.writerIndex
        let locations = EncapsulatedPixelData.write(frames, into: &payload)
        let pixelEndOffset = payload.writerIndex
        payload.writeImmutableBuffer(header.after)

        var metadata = metadata(
            storedTransferSyntax: plan.transferSyntax,
            digests: digests,
            note: "\(plan.codec), \(plan.frameCount) frames proven"
        )
        metadata.dataSetOffset = dataSetOffset
        metadata.pixelDataOffset = pixelDataOffset
        metadata.pixelEndOffset = pixelEndOffset
        metadata.frames = locations
        metadata.restoration = header.restoration
        return try StoredForm(payload: payload, metadata: metadata)
    }

    /// The digests of what was received and of its native pixel data.
    package func digests(plan: CompressionPlan) throws(StoreFailure) -> InstanceDigests {
        var received = SHA256Hasher()
        received.update(try fileMeta(transferSyntax: instance.transferSyntax, reserving: 0))
        received.update(instance.head)
        var pixels = SHA256Hasher()
        if let value = instance.head.slice(at: plan.valueOffset..<plan.endOffset) { pixels.update(value) }
        return InstanceDigests(received: received.digest(), pixels: pixels.digest())
    }

    /// The rest of the instance has arrived: so many bytes it has in all.
    mutating func arrived(byteCount: Int) throws(StoreFailure) {
        try instance.arrived(byteCount: byteCount)
    }

    /// File meta information, in a buffer with room for `byteCount` more bytes.
    func fileMeta(
        transferSyntax: TransferSyntax,
        reserving byteCount: Int
    ) throws(StoreFailure) -> ByteBuffer {
        let prefix: ByteBuffer
        do throws(DICOMError) {
            prefix = try StoredFileMeta.bytes(
                sopClassUID: instance.sopClassUID,
                sopInstanceUID: instance.sopInstanceUID,
                transferSyntax: transferSyntax
            )
        } catch {
            throw StoreFailure(.malformed, "file meta information cannot be written: \(error)")
        }
        var payload = ByteBufferAllocator().buffer(capacity: prefix.readableBytes + byteCount)
        payload.writeImmutableBuffer(prefix)
        return payload
    }

    func metadata(
        storedTransferSyntax: TransferSyntax,
        digests: InstanceDigests,
        note: String
    ) -> InstanceMetadata {
        InstanceMetadata(
            studyInstanceUID: instance.studyInstanceUID,
            seriesInstanceUID: instance.seriesInstanceUID,
            sopInstanceUID: instance.sopInstanceUID,
            sopClassUID: instance.sopClassUID,
            callingAETitle: sender.callingAETitle,
            calledAETitle: sender.calledAETitle,
            receivedAtMilliseconds: receivedAt.milliseconds,
            receivedTransferSyntax: "\(instance.transferSyntax.uid)",
            storedTransferSyntax: "\(storedTransferSyntax.uid)",
            receivedByteCount: instance.byteCount,
            receivedDigest: digests.received,
            pixelDigest: digests.pixels,
            codecNote: note,
            dataSetOffset: 0
        )
    }
}
