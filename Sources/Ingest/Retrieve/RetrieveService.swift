// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
package import DICOMWeb
package import Logging
import NIOCore
package import PixelCodecs
import SegmentFormat

/// Gives instances back: as they are stored, or as Explicit VR Little Endian with native pixel data.
///
/// Shared by all requests of an ingest node. Every conversion is checked against the digests that were recorded when
/// the instance was received, and one that does not match goes to the next copy: wrong bytes are never delivered whole.
package final class RetrieveService: Sendable {
    /// Bounds on memory and on work.
    package struct Configuration: Sendable {
        /// Instances up to this many bytes, stored and native together, are handled in memory; larger ones piece by
        /// piece.
        package var wholeByteCount = 32 << 20
        /// Instances up to this many stored bytes are read whole for a single frame.
        package var smallByteCount = 512 << 10
        /// Bytes of headers that are remembered, parsed, for the next frames of their instances; in memory they take a few
        /// times as much.
        package var layoutByteCount = 8 << 20
        /// Largest data set that is converted though it was not compressed here: that needs all of it in memory.
        package var conversionByteCount = 512 << 20
        /// Instances of one request that are made ready at once.
        package var window = 4
        /// Instances of one request that are read ahead when all go out as they are stored, and bytes of them.
        package var storedWindow = 16
        package var storedAheadByteCount = 16 << 20
        /// Bytes of instances being made ready or sent, all requests together.
        package var memoryByteCount = 512 << 20

        package init() {}
    }

    package let configuration: Configuration
    let directory: any InstanceDirectory
    let records: any RecordReader
    let decoder: FrameDecoder
    private let layouts: LayoutCache
    /// Bytes of instances being made ready or sent.
    let memory: Budget
    let logger: Logger

    package init(
        directory: any InstanceDirectory,
        records: any RecordReader,
        codecs: CodecPool,
        configuration: Configuration = Configuration(),
        logger: Logger
    ) {
        self.configuration = configuration
        self.directory = directory
        self.records = records
        self.decoder = FrameDecoder(pool: codecs)
        self.layouts = LayoutCache(byteLimit: configuration.layoutByteCount)
        self.memory = Budget(limit: configuration.memoryByteCount)
        self.logger = logger
    }

    /// Bytes of instances being made ready or sent now, for a metric.
    package var memoryInUse: Int { memory.limit - memory.available }

    /// The instances of a study, series or instance; throws `.notFound` when there is none.
    package func instances(of item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance] {
        let found = try await directory.instances(of: item)
        guard !found.isEmpty else { throw RetrieveFailure(.notFound, "nothing of that name is stored here") }
        return found
    }

    /// Whether an instance can, as far as its catalog row tells, be delivered in the syntax with this UID.
    package func canConvert(_ instance: StoredInstance, to uid: String) -> Bool {
        if uid == instance.storedTransferSyntax { return true }
        let native = TransferSyntax.explicitVRLittleEndian.uid.string
        if uid != native {
            // All of it is encoded in memory; whether the codec can carry the pixels only they tell.
            return Transcoding.codec(for: uid) != nil && canConvert(instance, to: native)
                && instance.receivedByteCount <= configuration.conversionByteCount
        }
        guard let stored = TransferSyntax.known(instance.storedTransferSyntax)
        else { return false }
        if instance.isCompressedHere { return ImageDecoding.codec(for: instance.storedTransferSyntax) != nil }
        guard instance.receivedByteCount <= configuration.conversionByteCount else { return false }
        return !stored.isEncapsulated || ImageDecoding.codec(for: instance.storedTransferSyntax) != nil
    }

    /// Whether single frames can be had in native form.
    func canDecodeFrames(of instance: StoredInstance) -> Bool {
        guard let stored = TransferSyntax.known(instance.storedTransferSyntax) else { return false }
        return !stored.isEncapsulated || ImageDecoding.codec(for: instance.storedTransferSyntax) != nil
    }

    /// Reads single frames.
    var frameReader: FrameReader {
        FrameReader(
            smallByteCount: configuration.smallByteCount,
            maximumWholeByteCount: configuration.conversionByteCount,
            records: records,
            decoder: decoder,
            layouts: layouts
        )
    }

    /// The bytes of memory that making an instance ready takes, about.
    package func cost(of instance: StoredInstance, choice: SyntaxChoice) -> Int {
        let pieces = StoredPieces.pieceByteCount
        switch choice {
        case .stored:
            return instance.storedByteCount <= configuration.wholeByteCount ? instance.storedByteCount : pieces
        case .converted(let uid):
            let both = instance.storedByteCount + instance.receivedByteCount
            // Native, in one piece, and encoded.
            if Transcoding.codec(for: uid) != nil { return instance.storedByteCount + 3 * instance.receivedByteCount }
            if instance.isCompressedHere && both > configuration.wholeByteCount {
                return NativePieces.windowByteCount + pieces
            }
            return both
        }
    }

    /// Makes an instance ready to be sent, in the syntax chosen for it.
    ///
    /// With `allowsStored`, one that turns out not to decode here is delivered as it is stored instead.
    package func prepare(
        _ instance: StoredInstance,
        choice: SyntaxChoice,
        allowsStored: Bool
    ) async throws(RetrieveFailure) -> PreparedInstance {
        guard case .converted(let uid) = choice, uid != instance.storedTransferSyntax else {
            return try await stored(instance)
        }
        guard canConvert(instance, to: uid) else {
            if allowsStored { return try await stored(instance) }
            throw RetrieveFailure(
                .notAcceptable,
                "instance \(instance.sopInstanceUID) is stored in \(instance.storedTransferSyntax) and can't be "
                    + "converted to \(uid); ask for transfer-syntax=*"
            )
        }
        if Transcoding.codec(for: uid) != nil {
            do throws(RetrieveFailure) {
                return try await transcoded(instance, to: uid)
            } catch {
                guard error.kind == .notAcceptable, allowsStored else { throw error }
                return try await stored(instance)
            }
        }
        var last = RetrieveFailure(.unavailable, "no copy of the instance is known")
        for attempt in 0..<max(1, instance.nodes.count) {
            var copy = instance
            copy.nodes = instance.copies(attempt: attempt)
            do throws(RetrieveFailure) {
                return instance.isCompressedHere ? try await native(copy) : try await converted(copy)
            } catch {
                switch error.kind {
                case .damaged:
                    last = error
                    logger.error(
                        "a copy does not give back what was received, going on to the next",
                        metadata: [
                            "record": "\(instance.recordID)", "node": "\(copy.nodes.first.map { "\($0)" } ?? "-")",
                            "reason": "\(error)",
                        ]
                    )
                case .notAcceptable where allowsStored: return try await stored(instance)
                default: throw error
                }
            }
        }
        throw last
    }

    /// Begins to make an instance ready for which ``isReadWhole(_:_:)`` says yes, without a task; `completion` is called
    /// once, from any thread.
    func startReading(
        _ instance: StoredInstance,
        completion: @escaping @Sendable (Result<PreparedInstance, RetrieveFailure>) -> Void
    ) -> RunningWork {
        records.start(instance.recordID, copies: instance.nodes, range: nil) { result in
            completion(Result { () throws(RetrieveFailure) in try Self.stored(instance, whole: result.get()) })
        }
    }

    /// Whether an instance goes out as it is stored, and is read in one piece for that.
    func isReadWhole(_ instance: StoredInstance, _ choice: SyntaxChoice) -> Bool {
        switch choice {
        case .stored: break
        case .converted(let uid): guard uid == instance.storedTransferSyntax else { return false }
        }
        return instance.storedByteCount <= configuration.wholeByteCount
    }

    private static func stored(
        _ instance: StoredInstance,
        whole payload: ByteBuffer
    ) throws(RetrieveFailure) -> PreparedInstance {
        guard payload.readableBytes == instance.storedByteCount else {
            throw RetrieveFailure(.damaged, "record \(instance.recordID) is not as long as the catalog says")
        }
        return PreparedInstance(
            transferSyntax: instance.storedTransferSyntax,
            byteCount: instance.storedByteCount,
            content: .whole([payload])
        )
    }

    /// As it is stored, byte for byte.
    private func stored(_ instance: StoredInstance) async throws(RetrieveFailure) -> PreparedInstance {
        if instance.storedByteCount <= configuration.wholeByteCount {
            let payload = try await records.read(instance.recordID, copies: instance.nodes, range: nil)
            return try Self.stored(instance, whole: payload)
        }
        return PreparedInstance(
            transferSyntax: instance.storedTransferSyntax,
            byteCount: instance.storedByteCount,
            content: .stored(StoredPieces(instance: instance, records: records))
        )
    }

    /// Decodes what was compressed when it was stored.
    private func native(_ instance: StoredInstance) async throws(RetrieveFailure) -> PreparedInstance {
        let isWhole = instance.storedByteCount + instance.receivedByteCount <= configuration.wholeByteCount
        let record = try await StoredRecord.read(instance, from: records, isWhole: isWhole)
        let form = try NativeForm(
            record.metadata,
            before: try await record.before(records),
            after: try await record.after(records)
        )
        let fileMeta = try FileMetaBytes.make(record.metadata, transferSyntax: .explicitVRLittleEndian)
        let content: PreparedInstance.Content
        if let payload = record.payload {
            let frames = try await decoder.decode(try payload.frames(form.frames, from: 0), as: form.decoding)
            let isGood = try await decoder.run {
                var check = NativeForm.Check(form, fileMeta: fileMeta)
                for frame in frames { check.add(frame) }
                return check.finish()
            }
            guard isGood else {
                throw RetrieveFailure(
                    .damaged,
                    "instance \(instance.sopInstanceUID) does not decode to what was received"
                )
            }
            content = .whole([fileMeta, form.prefix] + frames + [form.suffix])
        } else {
            content = .native(
                NativePieces(instance: instance, records: records, form: form, fileMeta: fileMeta, decoder: decoder)
            )
        }
        return PreparedInstance(
            transferSyntax: TransferSyntax.explicitVRLittleEndian.uid.string,
            byteCount: fileMeta.readableBytes + form.byteCount,
            content: content
        )
    }

    /// Converts what is stored as it was received.
    private func converted(_ instance: StoredInstance) async throws(RetrieveFailure) -> PreparedInstance {
        let record = try await StoredRecord.read(instance, from: records, isWhole: true)
        let metadata = record.metadata
        guard let payload = record.payload, let dataSet = payload.slice(from: metadata.dataSetOffset),
            let syntax = TransferSyntax.known(metadata.storedTransferSyntax)
        else { throw RetrieveFailure(.damaged, "record \(instance.recordID) has no data set") }
        let isGood = try await decoder.run { SHA256Hasher.digest(of: payload) == metadata.receivedDigest }
        guard isGood else {
            throw RetrieveFailure(.damaged, "instance \(instance.sopInstanceUID) is not what was received")
        }
        let conversion = try ReceivedConversion(dataSet, transferSyntax: syntax)
        var frames: [ByteBuffer] = []
        if let decoding = conversion.decoding {
            do throws(RetrieveFailure) {
                frames = try await decoder.decode(conversion.frames, as: decoding)
            } catch {
                // These are the bytes that were received: another copy would not decode either.
                guard error.kind == .damaged else { throw error }
                throw RetrieveFailure(.notAcceptable, error.reason)
            }
        }
        let fileMeta = try FileMetaBytes.make(metadata, transferSyntax: .explicitVRLittleEndian)
        let buffers = [fileMeta] + (try conversion.assemble(frames))
        return PreparedInstance(
            transferSyntax: TransferSyntax.explicitVRLittleEndian.uid.string,
            byteCount: buffers.reduce(0) { $0 + $1.readableBytes },
            content: .whole(buffers)
        )
    }
}
