// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import NIOPosix
import PixelCodecs
import SegmentFormat

/// Puts the payload of a large instance together in a file while the instance arrives.
///
/// Every frame is encoded, proven and written as soon as it is there, a few at a time: the instance is never in memory
/// whole, and little is left to do when its last byte comes.
struct SpooledPayload {
    let source: SpooledSource
    let builder: PayloadBuilder
    let codecs: CodecPool
    let threads: NIOThreadPool
    let directory: String

    /// What became of an attempt to compress.
    enum Attempt {
        case stored(LargeStoredForm)
        /// Compression gains nothing, or some part is too large to be kept in memory.
        case unsuitable
        case notEncoded(CodecError)
        /// A frame does not decode to what arrived.
        case notProven
    }

    /// Frames in work at once, and native bytes of them (one frame may have more).
    private static let windowFrameCount = 8
    private static let windowByteCount = 16 << 20
    /// Larger frames are kept as they came.
    private static let maximumFrameByteCount = 256 << 20

    /// Whether the parts that `plan` needs in memory are small enough.
    static func suits(_ plan: CompressionPlan) -> Bool {
        plan.surplusRange.count <= SpooledSource.maximumHeadByteCount
            && plan.format.frameByteCount <= maximumFrameByteCount
    }

    /// The data set behind file meta information, as it came.
    func asReceived(note: String) async throws(StoreFailure) -> LargeStoredForm {
        let transferSyntax = builder.instance.transferSyntax
        let meta = try builder.fileMeta(transferSyntax: transferSyntax, reserving: 0)
        let file = try await makeFile(startingWith: meta)
        var hasher = SHA256Hasher()
        hasher.update(meta)
        var byteCount = 0
        while true {
            let piece = try await source.readNext(from: byteCount, limit: PayloadFile.pieceByteCount)
            guard piece.readableBytes > 0 else { break }
            hasher.update(piece)
            try await write(piece, at: meta.readableBytes + byteCount, to: file)
            byteCount += piece.readableBytes
        }
        var builder = builder
        try builder.arrived(byteCount: byteCount)

        let digest = hasher.digest()
        var metadata = builder.metadata(
            storedTransferSyntax: transferSyntax,
            digests: InstanceDigests(received: digest, pixels: nil),
            note: note
        )
        metadata.dataSetOffset = meta.readableBytes
        if let location = builder.instance.pixelData, !transferSyntax.isDeflated {
            metadata.pixelDataOffset = meta.readableBytes + location.elementOffset
            metadata.pixelEndOffset = location.byteCount.map { meta.readableBytes + location.valueOffset + $0 }
        }
        let payloadByteCount = meta.readableBytes + byteCount
        return LargeStoredForm(
            instance: builder.instance,
            stored: try StoredForm(payloadByteCount: payloadByteCount, payloadDigest: digest, metadata: metadata),
            file: file
        )
    }

    /// The data set with its frames compressed as `plan`, which has to suit, says.
    func compressed(plan: CompressionPlan) async throws(StoreFailure) -> Attempt {
        let before = try await source.read(0..<plan.elementOffset)
        // What comes after the pixel data is not known yet; what comes before it does not depend on that.
        let front = try StoredHeader(builder.instance, plan: plan, before: before, after: .init(), surplus: .init())
        var prefix = try builder.fileMeta(
            transferSyntax: plan.transferSyntax,
            reserving: front.before.readableBytes
        )
        let dataSetOffset = prefix.readableBytes
        prefix.writeImmutableBuffer(front.before)
        let pixelDataOffset = prefix.readableBytes
        let framesOffset = pixelDataOffset + EncapsulatedPixelData.prefixByteCount(frameCount: plan.frameCount)

        var received = SHA256Hasher()
        received.update(try builder.fileMeta(transferSyntax: builder.instance.transferSyntax, reserving: 0))
        received.update(try await source.read(0..<plan.valueOffset))
        var pixels = SHA256Hasher()
        var frames = FrameFile(
            file: try await makeFile(startingWith: ByteBuffer()),
            offset: framesOffset,
            limit: pixelDataOffset + plan.valueByteCount
        )
        let windowCount = max(1, min(Self.windowFrameCount, Self.windowByteCount / plan.format.frameByteCount))
        var window: [FrameEncoding] = []
        for index in 0..<plan.frameCount {
            if window.count == windowCount, let failure = try await finish(window.removeFirst(), &frames) {
                return failure
            }
            let frame = try await source.read(plan.frameRange(index))
            window.append(start(frame, plan))
            received.update(frame)
            pixels.update(frame)
        }
        for encoding in window { if let failure = try await finish(encoding, &frames) { return failure } }

        let byteCount = try await source.byteCount()
        var builder = builder
        try builder.arrived(byteCount: byteCount)
        guard byteCount - plan.endOffset <= SpooledSource.maximumHeadByteCount else { return .unsuitable }
        let surplus = try await source.read(plan.surplusRange)
        let after = try await source.read(plan.endOffset..<byteCount)
        received.update(surplus)
        pixels.update(surplus)
        received.update(after)
        let header = try StoredHeader(builder.instance, plan: plan, before: before, after: after, surplus: surplus)

        EncapsulatedPixelData.writePrefix(frameByteCounts: frames.frameByteCounts, into: &prefix)
        var end = ByteBuffer()
        EncapsulatedPixelData.writeDelimiter(into: &end)
        let pixelEndOffset = frames.offset + end.readableBytes
        end.writeImmutableBuffer(header.after)
        let payloadByteCount = frames.offset + end.readableBytes
        try await write(prefix, at: 0, to: frames.file)
        try await write(end, at: frames.offset, to: frames.file)
        let file = frames.file
        let payloadDigest = try await threads.run { () throws(StoreFailure) in
            try file.digest(byteCount: payloadByteCount)
        }

        var metadata = builder.metadata(
            storedTransferSyntax: plan.transferSyntax,
            digests: InstanceDigests(received: received.digest(), pixels: pixels.digest()),
            note: "\(plan.candidate.name), \(plan.frameCount) frames proven"
        )
        metadata.dataSetOffset = dataSetOffset
        metadata.pixelDataOffset = pixelDataOffset
        metadata.pixelEndOffset = pixelEndOffset
        metadata.frames = frames.locations
        metadata.restoration = header.restoration
        return .stored(
            LargeStoredForm(
                instance: builder.instance,
                stored: try StoredForm(
                    payloadByteCount: payloadByteCount,
                    payloadDigest: payloadDigest,
                    metadata: metadata
                ),
                file: file
            )
        )
    }

    /// The frames that are in the file, one behind the other.
    private struct FrameFile {
        let file: PayloadFile
        /// Where the next frame goes.
        var offset: Int
        /// From here on compression would gain nothing.
        let limit: Int
        var frameByteCounts: [Int] = []
        var locations: [FrameLocation] = []
    }

    private func start(_ frame: ByteBuffer, _ plan: CompressionPlan) -> FrameEncoding {
        codecs.startEncoding(frame, format: plan.format, codec: plan.codec, options: plan.candidate.options)
    }

    /// Waits for a frame to be encoded and proven and writes it; what keeps it from that.
    private func finish(_ encoding: FrameEncoding, _ frames: inout FrameFile) async throws(StoreFailure) -> Attempt? {
        let encoded: ByteBuffer
        do throws(CodecError) {
            encoded = try await encoding.bytes.value()
            guard try await encoding.proof.value() else { return .notProven }
        } catch {
            return .notEncoded(error)
        }
        var fragment = ByteBufferAllocator().buffer(capacity: encoded.readableBytes + 16)
        let location = EncapsulatedPixelData.writeFragment(encoded, into: &fragment)
        frames.locations.append(
            FrameLocation(offset: UInt64(frames.offset) + location.offset, byteCount: location.byteCount)
        )
        frames.frameByteCounts.append(encoded.readableBytes)
        try await write(fragment, at: frames.offset, to: frames.file)
        frames.offset += fragment.readableBytes
        return frames.offset < frames.limit ? nil : .unsuitable
    }

    private func makeFile(startingWith bytes: ByteBuffer) async throws(StoreFailure) -> PayloadFile {
        let directory = directory
        return try await threads.run { () throws(StoreFailure) in
            let file = try PayloadFile(directory: directory)
            try file.write(bytes, at: 0)
            return file
        }
    }

    private func write(_ bytes: ByteBuffer, at offset: Int, to file: PayloadFile) async throws(StoreFailure) {
        try await threads.run { () throws(StoreFailure) in try file.write(bytes, at: offset) }
    }
}
