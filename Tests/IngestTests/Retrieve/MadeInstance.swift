// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import PixelCodecs
import SegmentFormat
import Testing

/// An instance made for a test: its data set as received, and the record that storing it makes.
struct MadeInstance: Sendable {
    /// As received.
    var dataSet: ByteBuffer
    /// As stored: a Part 10 stream.
    var payload: ByteBuffer
    var metadata: InstanceMetadata

    struct Shape: Sendable, CustomStringConvertible {
        var name: String
        var rows = 16
        var columns = 24
        var frames = 1
        var samples = 1
        var bitsAllocated = 16
        var isPlanar = false
        /// Bytes after the last frame, in the value.
        var surplus: [UInt8] = []
        /// Elements after Pixel Data.
        var hasTail = false
        var instance = 1
        var series = 1
        /// UN is what implicit VR makes of it.
        var privateVR = VR.ob

        var description: String { name }

        var format: PixelFormat {
            PixelFormat(
                rows: rows,
                columns: columns,
                samplesPerPixel: samples,
                bitsAllocated: bitsAllocated,
                bitsStored: bitsAllocated,
                isPlanar: isPlanar,
                photometric: samples == 3 ? .rgb : .monochrome
            )
        }
    }

    static let study = "1.2.3"

    /// Frames of a soft slope with a little noise, different for each frame.
    static func frames(_ shape: Shape) -> [ByteBuffer] {
        (0..<shape.frames).map { frame in
            ByteBuffer(
                bytes: (0..<shape.format.frameByteCount).map {
                    UInt8(truncatingIfNeeded: $0 / 7 &+ frame * 31 &+ ($0 &* 2_654_435_761) >> 29 & 3 &+ shape.instance)
                }
            )
        }
    }

    static func header(_ shape: Shape) -> DataSet {
        var header = DataSet()
        header.set(.sopClassUID, .ui, "1.2.840.10008.5.1.4.1.1.7")
        header.set(.sopInstanceUID, .ui, "\(study).\(shape.series).\(shape.instance)")
        header.set(.patientName, .pn, "Test^Retrieve")
        header.set(Tag(0x0009, 0x0010), .lo, "VARVE TEST")
        header.set(
            DataElement(
                tag: Tag(0x0009, 0x1001),
                vr: shape.privateVR,
                value: .bytes(ByteBuffer(repeating: 7, count: 2000))
            )
        )
        header.set(.studyInstanceUID, .ui, study)
        header.set(.seriesInstanceUID, .ui, "\(study).\(shape.series)")
        header.set(.samplesPerPixel, .us, integers: [shape.samples])
        header.set(.photometricInterpretation, .cs, shape.samples == 3 ? "RGB" : "MONOCHROME2")
        if shape.samples == 3 { header.set(.planarConfiguration, .us, integers: [shape.isPlanar ? 1 : 0]) }
        header.set(.numberOfFrames, .is, "\(shape.frames)")
        header.set(.rows, .us, integers: [shape.rows])
        header.set(.columns, .us, integers: [shape.columns])
        header.set(.bitsAllocated, .us, integers: [shape.bitsAllocated])
        header.set(.bitsStored, .us, integers: [shape.bitsAllocated])
        header.set(.highBit, .us, integers: [shape.bitsAllocated - 1])
        header.set(.pixelRepresentation, .us, integers: [0])
        return header
    }

    static func tail(_ shape: Shape) -> DataSet {
        var tail = DataSet()
        if shape.hasTail {
            tail.set(
                DataElement(tag: .dataSetTrailingPadding, vr: .ob, value: .bytes(ByteBuffer(repeating: 0, count: 6)))
            )
        }
        return tail
    }

    /// The whole data set in a syntax without encapsulation.
    static func dataSet(_ shape: Shape, _ syntax: TransferSyntax = .explicitVRLittleEndian) throws -> ByteBuffer {
        var header = header(shape)
        var value = frames(shape).reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
        value.writeBytes(shape.surplus)
        header.set(DataElement(tag: .pixelData, vr: shape.bitsAllocated > 8 ? .ow : .ob, value: .bytes(value)))
        for element in tail(shape).elements { header.set(element) }
        return try DataSetWriter.write(header, transferSyntax: syntax)
    }

    /// Stored as it was received.
    static func asReceived(_ shape: Shape, _ dataSet: ByteBuffer, _ syntax: TransferSyntax) throws -> MadeInstance {
        var payload = try fileMeta(shape, syntax)
        var metadata = metadata(shape, dataSet, received: syntax, stored: syntax, meta: payload)
        metadata.dataSetOffset = payload.readableBytes
        if !syntax.isDeflated, let location = try PixelDataLocation.find(in: dataSet, transferSyntax: syntax) {
            metadata.pixelDataOffset = payload.readableBytes + location.elementOffset
            metadata.pixelEndOffset = location.endOffset.map { payload.readableBytes + $0 }
        }
        payload.writeImmutableBuffer(dataSet)
        return MadeInstance(dataSet: dataSet, payload: payload, metadata: metadata)
    }

    /// Received in Explicit VR Little Endian and compressed, as the store path does it.
    static func compressed(_ shape: Shape, _ codec: PixelCodec = .jpegLS) throws -> MadeInstance {
        let dataSet = try dataSet(shape)
        let location = try #require(
            try PixelDataLocation.find(in: dataSet, transferSyntax: .explicitVRLittleEndian)
        )
        let end = try #require(location.endOffset)
        let stored: TransferSyntax = codec == .jpegLS ? .jpegLSLossless : .jpeg2000Lossless
        let encoded = try frames(shape).map { try codec.encode($0, format: shape.format) }

        var payload = try fileMeta(shape, stored)
        var metadata = metadata(
            shape,
            dataSet,
            received: .explicitVRLittleEndian,
            stored: stored,
            meta: try fileMeta(shape, .explicitVRLittleEndian)
        )
        metadata.dataSetOffset = payload.readableBytes
        metadata.pixelDataOffset = payload.readableBytes + location.elementOffset
        var restoration = Restoration(
            pixelVR: location.vr.rawValue,
            pixelByteCount: UInt64(try #require(location.byteCount)),
            trailingBytes: shape.surplus
        )
        var before = try #require(dataSet.getSlice(at: dataSet.readerIndex, length: location.elementOffset))
        if shape.isPlanar {
            let header = try DataSetReader.readHeader(dataSet, transferSyntax: .explicitVRLittleEndian).dataSet
            let offset = try #require(header[.planarConfiguration]?.valueOffset)
            restoration.patches = [RestorationPatch(offset: UInt32(offset), original: [1, 0])]
            before.setInteger(UInt16(0), at: before.readerIndex + offset)
        }
        payload.writeImmutableBuffer(before)
        (payload, metadata.frames) = encapsulate(encoded, into: payload)
        metadata.pixelEndOffset = payload.readableBytes
        payload.writeImmutableBuffer(
            try #require(dataSet.getSlice(at: dataSet.readerIndex + end, length: dataSet.readableBytes - end))
        )
        metadata.restoration = restoration
        var value = frames(shape).reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
        value.writeBytes(shape.surplus)
        metadata.pixelDigest = SHA256Hasher.digest(of: value)
        return MadeInstance(dataSet: dataSet, payload: payload, metadata: metadata)
    }

    /// Appends an encapsulated Pixel Data element; `split` cuts each frame into that many fragments.
    static func encapsulate(
        _ frames: [ByteBuffer],
        into start: ByteBuffer,
        split: Int = 1,
        hasTable: Bool = true
    ) -> (ByteBuffer, [FrameLocation]) {
        var bytes = start
        bytes.writeMultipleIntegers(UInt16(0x7FE0), UInt16(0x0010), endianness: .little)
        bytes.writeString("OB")
        bytes.writeMultipleIntegers(UInt16(0), UInt32.max, endianness: .little)
        var items: [ByteBuffer] = []
        var table = ByteBuffer()
        var offset: UInt32 = 0
        for var frame in frames {
            if frame.readableBytes % 2 != 0 { frame.writeInteger(UInt8(0)) }
            table.writeInteger(offset, endianness: .little)
            let piece = max(2, frame.readableBytes / split / 2 * 2)
            for part in 0..<split {
                let count = part == split - 1 ? frame.readableBytes : piece
                if let item = frame.readSlice(length: count) {
                    items.append(item)
                    offset += UInt32(8 + count)
                }
            }
        }
        if !hasTable { table.clear() }
        var locations: [FrameLocation] = []
        for (index, item) in ([table] + items).enumerated() {
            bytes.writeMultipleIntegers(UInt16(0xFFFE), UInt16(0xE000), UInt32(item.readableBytes), endianness: .little)
            if index > 0 {
                locations.append(
                    FrameLocation(offset: UInt64(bytes.writerIndex), byteCount: UInt64(item.readableBytes))
                )
            }
            bytes.writeImmutableBuffer(item)
        }
        bytes.writeMultipleIntegers(UInt16(0xFFFE), UInt16(0xE0DD), UInt32(0), endianness: .little)
        return (bytes, locations)
    }

    private static func fileMeta(_ shape: Shape, _ syntax: TransferSyntax) throws -> ByteBuffer {
        try Part10.write(
            FileMeta(
                sopClassUID: UID(validating: "1.2.840.10008.5.1.4.1.1.7"),
                sopInstanceUID: UID(validating: "\(study).\(shape.series).\(shape.instance)"),
                transferSyntax: syntax
            )
        )
    }

    private static func metadata(
        _ shape: Shape,
        _ dataSet: ByteBuffer,
        received: TransferSyntax,
        stored: TransferSyntax,
        meta: ByteBuffer
    ) -> InstanceMetadata {
        var digest = SHA256Hasher()
        digest.update(meta)
        digest.update(dataSet)
        return InstanceMetadata(
            studyInstanceUID: study,
            seriesInstanceUID: "\(study).\(shape.series)",
            sopInstanceUID: "\(study).\(shape.series).\(shape.instance)",
            sopClassUID: "1.2.840.10008.5.1.4.1.1.7",
            callingAETitle: "SENDER",
            receivedAtMilliseconds: 0,
            receivedTransferSyntax: received.uid.string,
            storedTransferSyntax: stored.uid.string,
            receivedByteCount: dataSet.readableBytes,
            receivedDigest: digest.digest(),
            dataSetOffset: 0
        )
    }
}
