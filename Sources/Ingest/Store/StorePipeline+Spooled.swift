// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import ClusterClient
import DICOM
import Logging
import NIOCore
import NIOPosix
import PixelCodecs
import Placement
import SegmentFormat
import Telemetry

/// Data sets too large for memory: the payload is put together in a spool file, frame by frame, and sent from there.
///
/// Every frame is proven as soon as it is encoded, so that never more than a few frames are in memory.
extension StorePipeline {
    /// Stores a data set that lies in the spool; `instance.head` is its first part.
    func store(
        _ instance: ReceivedInstance,
        spooled source: SpooledSource,
        from sender: Sender
    ) async throws(StoreFailure) -> Outcome {
        let receivedAt = Timestamp.now()
        let builder = PayloadBuilder(instance, sender: sender, receivedAt: receivedAt)
        let form: LargeStoredForm
        switch CompressionPlan.decide(for: instance, codecClass: codecClass) {
        case .compress(let plan):
            if let compressed = try await compress(instance, source, plan: plan, builder: builder) {
                form = compressed
            } else {
                form = try await keep(
                    instance,
                    source,
                    builder: builder,
                    note: Self.notCompressedNote
                )
            }
        case .keep(let reason):
            form = try await keep(instance, source, builder: builder, note: "as received: \(reason)")
        }
        let nodes: [NodeID]
        do {
            nodes = try await cluster.write(
                form.stored.putRequest(mapEpoch: cluster.mapEpoch),
                chunks: FileChunks(file: form.file, byteCount: form.stored.payloadByteCount, threads: spoolThreads)
            )
        } catch {
            throw StoreFailure(.unavailable, error.description)
        }
        return try await commit(
            InstanceEntry(instance, form: form.stored, nodes: nodes, sender: sender, receivedAt: receivedAt)
        )
    }

    /// The data set behind file meta information, as it came.
    private func keep(
        _ instance: ReceivedInstance,
        _ source: SpooledSource,
        builder: PayloadBuilder,
        note: String
    ) async throws(StoreFailure) -> LargeStoredForm {
        let meta = try builder.fileMeta(transferSyntax: instance.transferSyntax, reserving: 0)
        return try await spoolThreads.run { () throws(StoreFailure) in
            let file = try PayloadFile(directory: self.spoolDirectory)
            var payload = SHA256Hasher()
            try file.write(meta, at: 0)
            payload.update(meta)
            for start in stride(from: 0, to: source.byteCount, by: PayloadFile.pieceByteCount) {
                let piece = try source.readBlocking(
                    start..<min(start + PayloadFile.pieceByteCount, source.byteCount)
                )
                payload.update(piece)
                try file.write(piece, at: meta.readableBytes + start)
            }
            let digest = payload.digest()
            var metadata = builder.metadata(
                storedTransferSyntax: instance.transferSyntax,
                digests: InstanceDigests(received: digest, pixels: nil),
                note: note
            )
            metadata.dataSetOffset = meta.readableBytes
            if let location = instance.pixelData, !instance.transferSyntax.isDeflated {
                metadata.pixelDataOffset = meta.readableBytes + location.elementOffset
                metadata.pixelEndOffset = location.byteCount.map { meta.readableBytes + location.valueOffset + $0 }
            }
            return LargeStoredForm(
                stored: try StoredForm(
                    payloadByteCount: meta.readableBytes + source.byteCount,
                    payloadDigest: digest,
                    metadata: metadata
                ),
                file: file
            )
        }
    }

    /// Encodes and proves every frame into a payload file; nil when the instance has to be kept as it came.
    private func compress(
        _ instance: ReceivedInstance,
        _ source: SpooledSource,
        plan: CompressionPlan,
        builder: PayloadBuilder
    ) async throws(StoreFailure) -> LargeStoredForm? {
        let smallLimit = SpooledSource.maximumHeadByteCount
        guard plan.endOffset <= source.byteCount, source.byteCount - plan.endOffset <= smallLimit,
            plan.surplusRange.count <= smallLimit, plan.format.frameByteCount <= Self.maximumSpooledFrameByteCount
        else { return nil }
        let before = try await source.read(0..<plan.elementOffset)
        let after = try await source.read(plan.endOffset..<source.byteCount)
        let surplus = try await source.read(plan.surplusRange)
        let header = try StoredHeader(instance, plan: plan, before: before, after: after, surplus: surplus)

        var prefix = try builder.fileMeta(
            transferSyntax: plan.transferSyntax,
            reserving: header.before.readableBytes
        )
        let dataSetOffset = prefix.readableBytes
        prefix.writeImmutableBuffer(header.before)
        let pixelDataOffset = prefix.readableBytes
        var offset = pixelDataOffset + EncapsulatedPixelData.prefixByteCount(frameCount: plan.frameCount)

        let file = try await spoolThreads.run { () throws(StoreFailure) in
            try PayloadFile(directory: self.spoolDirectory)
        }
        var received = SHA256Hasher()
        received.update(try builder.fileMeta(transferSyntax: instance.transferSyntax, reserving: 0))
        received.update(try await source.read(0..<plan.valueOffset))
        var pixels = SHA256Hasher()
        var frameByteCounts: [Int] = []
        var locations: [FrameLocation] = []
        for index in 0..<plan.frameCount {
            let frame = try await source.read(plan.frameRange(index))
            received.update(frame)
            pixels.update(frame)
            guard let encoded = await encodeProven(frame, plan: plan) else { return nil }
            var fragment = ByteBufferAllocator().buffer(capacity: encoded.readableBytes + 16)
            let location = EncapsulatedPixelData.writeFragment(encoded, into: &fragment)
            locations.append(FrameLocation(offset: UInt64(offset) + location.offset, byteCount: location.byteCount))
            frameByteCounts.append(encoded.readableBytes)
            let (piece, position) = (fragment, offset)
            try await spoolThreads.run { () throws(StoreFailure) in try file.write(piece, at: position) }
            offset += fragment.readableBytes
            guard offset - pixelDataOffset < plan.valueByteCount else { return nil }
        }
        received.update(surplus)
        pixels.update(surplus)
        received.update(after)

        EncapsulatedPixelData.writePrefix(frameByteCounts: frameByteCounts, into: &prefix)
        var end = ByteBuffer()
        EncapsulatedPixelData.writeDelimiter(into: &end)
        let pixelEndOffset = offset + end.readableBytes
        end.writeImmutableBuffer(header.after)
        let (start, tail, tailOffset) = (prefix, end, offset)
        let byteCount = offset + end.readableBytes
        let payloadDigest = try await spoolThreads.run { () throws(StoreFailure) in
            try file.write(start, at: 0)
            try file.write(tail, at: tailOffset)
            return try file.digest(byteCount: byteCount)
        }

        var metadata = builder.metadata(
            storedTransferSyntax: plan.transferSyntax,
            digests: InstanceDigests(received: received.digest(), pixels: pixels.digest()),
            note: "\(plan.codec), \(plan.frameCount) frames proven"
        )
        metadata.dataSetOffset = dataSetOffset
        metadata.pixelDataOffset = pixelDataOffset
        metadata.pixelEndOffset = pixelEndOffset
        metadata.frames = locations
        metadata.restoration = header.restoration
        return LargeStoredForm(
            stored: try StoredForm(payloadByteCount: byteCount, payloadDigest: payloadDigest, metadata: metadata),
            file: file
        )
    }

    /// The frame encoded and proven, or nil.
    private func encodeProven(_ frame: ByteBuffer, plan: CompressionPlan) async -> ByteBuffer? {
        do {
            let encoded = try await codecs.encode(frame, format: plan.format, codec: plan.codec)
            guard try await codecs.prove(encoded, equals: frame, format: plan.format, codec: plan.codec) else {
                logger.error("a compressed frame does not decode to what arrived; the instance is kept as received")
                return nil
            }
            return encoded
        } catch {
            logUnencoded(error)
            return nil
        }
    }

    /// Frames beyond this are kept as they came when the instance does not fit in memory.
    private static let maximumSpooledFrameByteCount = 256 << 20
}

/// A large instance in the form in which it is stored; its payload lies in `file`.
struct LargeStoredForm: Sendable {
    let stored: StoredForm
    let file: PayloadFile
}

/// The payload of a large instance, read piece by piece as the nodes take it.
struct FileChunks: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let file: PayloadFile
    let byteCount: Int
    let threads: NIOThreadPool

    func makeAsyncIterator() -> Iterator {
        Iterator(chunks: self)
    }

    struct Iterator: AsyncIteratorProtocol {
        let chunks: FileChunks
        var offset = 0

        mutating func next() async throws -> ByteBuffer? {
            guard offset < chunks.byteCount else { return nil }
            let range = offset..<Swift.min(offset + PayloadFile.pieceByteCount, chunks.byteCount)
            offset = range.upperBound
            let file = chunks.file
            return try await chunks.threads.run { () throws(StoreFailure) in try file.read(range) }
        }
    }
}
