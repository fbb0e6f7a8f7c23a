// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import SegmentFormat

/// The bytes before and after Pixel Data as they are stored with compressed pixel data, and how to undo the changes.
///
/// Explicit VR Little Endian is kept byte for byte but for Planar Configuration; implicit VR is re-written
/// (docs/decisions/0002-byte-exact-return.md).
struct StoredHeader {
    let before: ByteBuffer
    let after: ByteBuffer
    let restoration: Restoration

    /// Takes the bytes before and after the Pixel Data element as received, and those of its value after the last frame.
    init(
        _ instance: ReceivedInstance,
        plan: CompressionPlan,
        before: ByteBuffer,
        after: ByteBuffer,
        surplus: ByteBuffer
    ) throws(StoreFailure) {
        var before = before
        var header = instance.header
        if instance.transferSyntax.isExplicitVR {
            self.after = after
        } else {
            before = try Self.explicit(before)
            header = try Self.read(before, .explicitVRLittleEndian)
            self.after = try Self.explicit(after)
        }
        var patches: [RestorationPatch] = []
        if plan.clearsPlanarConfiguration {
            patches = try Self.clearPlanarConfiguration(in: &before, header: header)
        }
        if let photometric = plan.storedPhotometricInterpretation {
            // It lies before Planar Configuration, whose offset in the stored header moves with it.
            let (patch, shift) = try Self.setPhotometricInterpretation(photometric, in: &before, header: header)
            for index in patches.indices where patches[index].offset > patch.offset {
                patches[index].offset = UInt32(Int(patches[index].offset) + shift)
            }
            patches.append(patch)
        }
        self.before = before
        self.restoration = Restoration(
            pixelVR: plan.pixelVR.rawValue,
            pixelByteCount: UInt64(plan.valueByteCount),
            pixelLengthIsUndefined: false,
            trailingBytes: Array(surplus.readableBytesView),
            patches: patches
        )
    }

    private static func explicit(_ bytes: ByteBuffer) throws(StoreFailure) -> ByteBuffer {
        let dataSet = try read(bytes, .implicitVRLittleEndian)
        do {
            return try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian)
        } catch {
            throw StoreFailure(.malformed, "the data set cannot be written in explicit VR: \(error)")
        }
    }

    private static func read(_ bytes: ByteBuffer, _ syntax: TransferSyntax) throws(StoreFailure) -> DataSet {
        do {
            return try DataSetReader.read(bytes, transferSyntax: syntax).dataSet
        } catch {
            throw StoreFailure(.malformed, "\(error)")
        }
    }

    private static func clearPlanarConfiguration(
        in bytes: inout ByteBuffer,
        header: DataSet
    ) throws(StoreFailure) -> [RestorationPatch] {
        guard let element = header[.planarConfiguration], let offset = element.valueOffset,
            let original = bytes.getBytes(at: bytes.readerIndex + offset, length: 2)
        else {
            throw StoreFailure(.processing, "Planar Configuration's place is not known")
        }
        bytes.setInteger(UInt16(0), at: bytes.readerIndex + offset)
        return [RestorationPatch(offset: UInt32(offset), original: original)]
    }

    /// Puts another code string in the place of the one received; the patch, and by how much what follows moves.
    private static func setPhotometricInterpretation(
        _ text: String,
        in bytes: inout ByteBuffer,
        header: DataSet
    ) throws(StoreFailure) -> (patch: RestorationPatch, shift: Int) {
        // The 16-bit length before the value (PS3.5 §7.1.2: CS) changes with it.
        guard let element = header[.photometricInterpretation], element.vr == .cs, let value = element.valueOffset,
            let count = element.value.bytes?.readableBytes,
            let original = bytes.getBytes(at: bytes.readerIndex + value - 2, length: 2 + count),
            let start = bytes.getSlice(at: bytes.readerIndex, length: value - 2),
            let rest = bytes.slice(from: value + count)
        else {
            throw StoreFailure(.processing, "Photometric Interpretation's place is not known")
        }
        let padded = text.utf8.count % 2 == 0 ? text : text + " "
        var changed = ByteBuffer()
        changed.reserveCapacity(bytes.readableBytes + 16)
        changed.writeImmutableBuffer(start)
        changed.writeInteger(UInt16(padded.utf8.count), endianness: .little)
        changed.writeString(padded)
        changed.writeImmutableBuffer(rest)
        bytes = changed
        let stored = 2 + padded.utf8.count
        return (
            RestorationPatch(offset: UInt32(value - 2), storedByteCount: UInt32(stored), original: original),
            stored - original.count
        )
    }
}
