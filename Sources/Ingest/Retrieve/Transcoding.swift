// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import NIOCore
import PixelCodecs

/// The compressed transfer syntaxes that instances and frames are encoded in when a client asks for them: without loss,
/// and each frame proven before it leaves.
enum Transcoding {
    /// The codec that encodes a transfer syntax; nil when none here does.
    static func codec(for uid: String) -> PixelCodec? {
        switch TransferSyntax.known(uid) {
        case .some(.jpegLSLossless): .jpegLS
        case .some(.jpeg2000Lossless): .jpeg2000
        case .some(.rleLossless): .rle
        default: nil
        }
    }
}

extension FrameDecoder {
    /// Encodes native frames, several at once, and proves that each decodes to what it was.
    func encode(
        _ frames: [ByteBuffer],
        format: PixelFormat,
        codec: PixelCodec
    ) async throws(RetrieveFailure) -> [ByteBuffer] {
        if let reason = codec.refusal(of: format) {
            throw RetrieveFailure(.notAcceptable, "\(codec) can't carry these pixels: \(reason)")
        }
        do {
            return try await OrderedPrefetch.map(frames, window: Self.window) { frame in
                await places.acquire(1)
                defer { places.release(1) }
                let encoding = pool.startEncoding(frame, format: format, codec: codec)
                let encoded = try await encoding.bytes.value()
                guard try await encoding.proof.value() else {
                    throw RetrieveFailure(.damaged, "an encoded frame does not decode to what it was")
                }
                return encoded
            }
        } catch let error as CodecError {
            throw RetrieveFailure(error)
        } catch {
            throw (error as? RetrieveFailure) ?? RetrieveFailure(.overloaded, "encoding was given up: \(error)")
        }
    }
}

extension FrameReader.Source {
    /// A frame in the form chosen.
    func frame(_ number: Int, _ choice: SyntaxChoice) async throws(RetrieveFailure) -> FrameReader.Frame {
        switch choice {
        case .stored: return try await frame(number, isNative: false)
        case .converted(let uid) where Transcoding.codec(for: uid) != nil:
            return try await frame(number, encodedIn: uid)
        case .converted: return try await frame(number, isNative: true)
        }
    }

    /// A frame encoded in the transfer syntax with this UID, which `Transcoding` knows.
    func frame(_ number: Int, encodedIn uid: String) async throws(RetrieveFailure) -> FrameReader.Frame {
        guard let codec = Transcoding.codec(for: uid) else {
            throw RetrieveFailure(.notAcceptable, "frames are not encoded in \(uid) here")
        }
        let native = try await image(number).bytes
        var format = PixelFormat(layout.description)
        if layout.syntax.isEncapsulated {
            // Decoding may have changed the layout.
            let stored = layout.record.instance.storedTransferSyntax
            format = try ImageDecoding(header: layout.header, transferSyntax: stored).format
        }
        guard let frame = try await reader.decoder.encode([native], format: format, codec: codec).first else {
            throw RetrieveFailure(.damaged, "a frame was encoded to nothing")
        }
        return FrameReader.Frame(transferSyntax: uid, bytes: frame)
    }
}

extension RetrieveService {
    /// Encodes the pixel data of an instance in a transfer syntax that `Transcoding` knows.
    ///
    /// All of it is in memory. What has no pixel data stays in Explicit VR Little Endian, which it names.
    /// - Throws: `.notAcceptable` when the codec can't carry the pixels.
    func transcoded(_ instance: StoredInstance, to uid: String) async throws(RetrieveFailure) -> PreparedInstance {
        guard let codec = Transcoding.codec(for: uid), let syntax = TransferSyntax.known(uid) else {
            throw RetrieveFailure(.notAcceptable, "instances are not encoded in \(uid) here")
        }
        let explicit = TransferSyntax.explicitVRLittleEndian
        let native = try await prepare(instance, choice: .converted(explicit.uid.string), allowsStored: false)
        var file = ByteBuffer()
        file.reserveCapacity(native.byteCount)
        do {
            try await native.send { buffers in
                for buffer in buffers { file.writeImmutableBuffer(buffer) }
            }
        } catch {
            throw (error as? RetrieveFailure) ?? RetrieveFailure(.unavailable, "\(error)")
        }
        let received: ReceivedInstance
        do throws(StoreFailure) {
            let (read, dataSet) = try PartReception.split(file)
            received = try ReceivedInstance(
                head: dataSet,
                transferSyntax: read,
                expectedSOPClass: "",
                expectedSOPInstance: ""
            )
        } catch {
            throw RetrieveFailure(.notAcceptable, "it can't be encoded in \(uid): \(error.reason)")
        }
        guard received.pixelData != nil else { return native }
        let decision = CompressionPlan.decide(for: received, choosesBySize: false) { _ in
            [CodecTrial.Candidate(codec)]
        }
        guard case .compress(let plan) = decision, let frames = plan.frames(of: received) else {
            if case .keep(let reason) = decision {
                throw RetrieveFailure(.notAcceptable, "it can't be encoded in \(uid): \(reason)")
            }
            throw RetrieveFailure(.damaged, "its frames are not all there")
        }
        let encoded = try await decoder.encode(frames, format: plan.format, codec: codec)
        do throws(StoreFailure) {
            let payload = try plan.payload(of: received, encoded, syntax)
            return PreparedInstance(transferSyntax: uid, byteCount: payload.readableBytes, content: .whole([payload]))
        } catch {
            throw RetrieveFailure(.notAcceptable, "it can't be encoded in \(uid): \(error.reason)")
        }
    }
}

extension CompressionPlan {
    /// The Part 10 stream with `frames` for pixel data.
    fileprivate func payload(
        of instance: ReceivedInstance,
        _ frames: [ByteBuffer],
        _ syntax: TransferSyntax
    ) throws(StoreFailure) -> ByteBuffer {
        guard let before = instance.head.slice(at: 0..<elementOffset),
            let after = instance.head.slice(at: endOffset..<instance.head.readableBytes)
        else { throw StoreFailure(.processing, "the pixel data's place is not within the data set") }
        let header = try StoredHeader(instance, plan: self, before: before, after: after, surplus: ByteBuffer())
        var payload: ByteBuffer
        do throws(DICOMError) {
            payload = try StoredFileMeta.bytes(
                sopClassUID: instance.sopClassUID,
                sopInstanceUID: instance.sopInstanceUID,
                transferSyntax: syntax
            )
        } catch {
            throw StoreFailure(.malformed, "file meta information cannot be written: \(error)")
        }
        payload.reserveCapacity(
            payload.readableBytes + header.before.readableBytes + EncapsulatedPixelData.byteCount(frames: frames)
                + header.after.readableBytes
        )
        payload.writeImmutableBuffer(header.before)
        _ = EncapsulatedPixelData.write(frames, into: &payload)
        payload.writeImmutableBuffer(header.after)
        return payload
    }
}
