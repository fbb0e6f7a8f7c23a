// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import PixelCodecs
import SegmentFormat

/// The native data set of an instance whose pixel data were compressed when it was stored: everything but the frames.
///
/// A value, made from the record's metadata and the bytes around Pixel Data. Undoing what storing changed gives, for
/// what arrived as Explicit VR Little Endian, the data set as received, byte for byte
/// (docs/decisions/0002-byte-exact-return.md).
struct NativeForm: Sendable {
    /// The data set up to the first frame: all elements before Pixel Data, and that element's header.
    let prefix: ByteBuffer
    /// The data set from the end of the last frame on: what followed it in the value, and all elements after it.
    let suffix: ByteBuffer
    let decoding: ImageDecoding
    /// Where the encoded frames are in the payload.
    let frames: [FrameLocation]
    /// What the frames, or the data set, must digest to.
    let proof: Proof

    /// What is compared with a recorded digest.
    enum Proof: Sendable, Hashable {
        /// The whole Part 10 stream with the digest of what was received.
        case file(SHA256Digest)
        /// The value of Pixel Data with its recorded digest: what was received was in another encoding.
        case pixelData(SHA256Digest)
    }

    /// Bytes of the native data set.
    var byteCount: Int {
        prefix.readableBytes + frames.count * decoding.format.frameByteCount + suffix.readableBytes
    }

    /// `before` and `after` are the stored data set's bytes before and after the Pixel Data element.
    init(
        _ metadata: InstanceMetadata,
        before: ByteBuffer,
        after: ByteBuffer
    ) throws(RetrieveFailure) {
        guard let restoration = metadata.restoration, let pixelDigest = metadata.pixelDigest,
            !restoration.pixelLengthIsUndefined, let valueByteCount = UInt32(exactly: restoration.pixelByteCount)
        else { throw Self.damaged("the record does not say how its pixel data were") }
        let vr = VR(rawValue: restoration.pixelVR)
        guard var before = restoration.restored(before) else {
            throw Self.damaged("a change made when it was stored lies outside of the data set")
        }
        let header: DataSet
        do throws(DICOMError) {
            header = try DataSetReader.read(before, transferSyntax: .explicitVRLittleEndian).dataSet
        } catch {
            throw Self.damaged("the stored data set can't be read: \(error)")
        }
        self.decoding = try ImageDecoding(header: header, transferSyntax: metadata.storedTransferSyntax)
        self.frames = metadata.frames
        let frameBytes = decoding.format.frameByteCount.multipliedReportingOverflow(by: frames.count)
        guard frames.count == decoding.frameCount, !frameBytes.overflow,
            frameBytes.partialValue + restoration.trailingBytes.count == Int(valueByteCount)
        else { throw Self.damaged("its frames don't add up to its pixel data") }

        before.writePixelDataHeader(vr: vr, byteCount: valueByteCount)
        self.prefix = before
        var suffix = ByteBuffer(bytes: restoration.trailingBytes)
        suffix.writeImmutableBuffer(after)
        self.suffix = suffix
        let isReceivedByteForByte = metadata.receivedTransferSyntax == TransferSyntax.explicitVRLittleEndian.uid.string
        self.proof = isReceivedByteForByte ? .file(metadata.receivedDigest) : .pixelData(pixelDigest)
        self.trailingByteCount = restoration.trailingBytes.count
    }

    private let trailingByteCount: Int

    /// The part of `suffix` that belongs to the value of Pixel Data.
    private var trailingBytes: ByteBuffer {
        suffix.getSlice(at: suffix.readerIndex, length: trailingByteCount) ?? ByteBuffer()
    }

    private static func damaged(_ why: String) -> RetrieveFailure { RetrieveFailure(.damaged, why) }

    /// Compares what is delivered with what was recorded, frame by frame.
    struct Check: Sendable {
        private let form: NativeForm
        private var hasher = SHA256Hasher()

        /// `fileMeta` is delivered in front of the data set.
        init(_ form: NativeForm, fileMeta: ByteBuffer) {
            self.form = form
            if case .file = form.proof {
                hasher.update(fileMeta)
                hasher.update(form.prefix)
            }
        }

        /// Adds the next frame.
        mutating func add(_ frame: ByteBuffer) { hasher.update(frame) }

        /// After the last frame: whether everything is as it was received.
        mutating func finish() -> Bool {
            switch form.proof {
            case .file(let digest):
                hasher.update(form.suffix)
                return hasher.digest() == digest
            case .pixelData(let digest):
                hasher.update(form.trailingBytes)
                return hasher.digest() == digest
            }
        }
    }
}

extension ByteBuffer {
    /// Writes tag, VR and length of a native Pixel Data element in Explicit VR Little Endian (PS3.5 §7.1.2).
    mutating func writePixelDataHeader(vr: VR, byteCount: UInt32) {
        writeMultipleIntegers(Tag.pixelData.group, Tag.pixelData.element, endianness: .little)
        writeInteger(vr.rawValue, endianness: .big)
        if vr.hasLongLength {
            writeMultipleIntegers(UInt16(0), byteCount, endianness: .little)
        } else {
            writeInteger(UInt16(truncatingIfNeeded: byteCount), endianness: .little)
        }
    }
}
