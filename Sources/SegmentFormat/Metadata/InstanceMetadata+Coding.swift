// SPDX-License-Identifier: Apache-2.0

public import NIOCore

extension InstanceMetadata {
    /// The tags of the fields: a number is never used again for anything else.
    enum FieldTag: UInt16, CaseIterable {
        case studyInstanceUID = 1
        case seriesInstanceUID = 2
        case sopInstanceUID = 3
        case sopClassUID = 4
        case callingAETitle = 5
        case calledAETitle = 6
        case receivedAtMilliseconds = 7
        case receivedTransferSyntax = 8
        case storedTransferSyntax = 9
        case receivedByteCount = 10
        case receivedDigest = 11
        case pixelDigest = 12
        case codecNote = 13
        case dataSetOffset = 14
        case pixelDataOffset = 15
        case pixelEndOffset = 16
        case frames = 17
        case restoration = 18
    }

    /// The fields in the order of their tags, then the unknown ones.
    public func encode() -> ByteBuffer {
        var writer = FieldListWriter()
        writer.write(.studyInstanceUID, studyInstanceUID)
        writer.write(.seriesInstanceUID, seriesInstanceUID)
        writer.write(.sopInstanceUID, sopInstanceUID)
        writer.write(.sopClassUID, sopClassUID)
        writer.write(.callingAETitle, callingAETitle)
        writer.write(.calledAETitle, calledAETitle)
        writer.write(.receivedAtMilliseconds, receivedAtMilliseconds)
        writer.write(.receivedTransferSyntax, receivedTransferSyntax)
        writer.write(.storedTransferSyntax, storedTransferSyntax)
        writer.write(.receivedByteCount, Int64(receivedByteCount))
        writer.write(.receivedDigest, receivedDigest)
        if let pixelDigest { writer.write(.pixelDigest, pixelDigest) }
        writer.write(.codecNote, codecNote)
        writer.write(.dataSetOffset, Int64(dataSetOffset))
        if let pixelDataOffset { writer.write(.pixelDataOffset, Int64(pixelDataOffset)) }
        if let pixelEndOffset { writer.write(.pixelEndOffset, Int64(pixelEndOffset)) }
        if !frames.isEmpty {
            writer.write(.frames) { value in
                value.reserveCapacity(value.readableBytes + 16 * frames.count)
                for frame in frames {
                    value.writeLittle(frame.offset)
                    value.writeLittle(frame.byteCount)
                }
            }
        }
        if let restoration { writer.write(.restoration) { restoration.encode(into: &$0) } }
        for field in unknownFields { writer.write(field) }
        return writer.buffer
    }

    /// Reads the readable bytes of `buffer`, all of them.
    ///
    /// Fails when a field is cut short, given twice or holds what it must not, or when one is missing that every
    /// instance has.
    public init(decoding buffer: ByteBuffer) throws(SegmentFormatError) {
        let list = try FieldList(decoding: buffer)
        self.init(
            studyInstanceUID: try list.text(.studyInstanceUID),
            seriesInstanceUID: try list.text(.seriesInstanceUID),
            sopInstanceUID: try list.text(.sopInstanceUID),
            sopClassUID: try list.text(.sopClassUID),
            callingAETitle: try list.text(.callingAETitle),
            calledAETitle: try list.text(.calledAETitle),
            receivedAtMilliseconds: try list.integer(.receivedAtMilliseconds),
            receivedTransferSyntax: try list.text(.receivedTransferSyntax),
            storedTransferSyntax: try list.text(.storedTransferSyntax),
            receivedByteCount: try list.count(.receivedByteCount),
            receivedDigest: try list.digest(.receivedDigest),
            pixelDigest: list.has(.pixelDigest) ? try list.digest(.pixelDigest) : nil,
            codecNote: try list.text(.codecNote),
            dataSetOffset: try list.count(.dataSetOffset),
            pixelDataOffset: list.has(.pixelDataOffset) ? try list.count(.pixelDataOffset) : nil,
            pixelEndOffset: list.has(.pixelEndOffset) ? try list.count(.pixelEndOffset) : nil,
            frames: list.has(.frames) ? try list.frames(.frames) : [],
            restoration: list.has(.restoration) ? try Restoration(decoding: list.value(.restoration)) : nil,
            unknownFields: list.unknownFields
        )
    }
}

extension Restoration {
    func encode(into buffer: inout ByteBuffer) {
        buffer.writeLittle(pixelVR)
        let changesLength = patches.contains { Int($0.storedByteCount) != $0.original.count }
        buffer.writeLittle(UInt8((pixelLengthIsUndefined ? 1 : 0) | (changesLength ? 2 : 0)))
        buffer.writeLittle(UInt8(0))
        buffer.writeLittle(pixelByteCount)
        buffer.writeLittle(UInt32(clamping: trailingBytes.count))
        buffer.writeLittle(UInt32(clamping: patches.count))
        buffer.writeBytes(trailingBytes)
        for patch in patches {
            buffer.writeLittle(patch.offset)
            if changesLength { buffer.writeLittle(patch.storedByteCount) }
            buffer.writeLittle(UInt32(clamping: patch.original.count))
            buffer.writeBytes(patch.original)
        }
    }

    init(decoding value: ByteBuffer) throws(SegmentFormatError) {
        var fields = FieldReader(value, of: "restoration")
        let pixelVR: UInt16 = try fields.next()
        let flags: UInt8 = try fields.next()
        try fields.skip(1)
        let pixelByteCount: UInt64 = try fields.next()
        let trailingByteCount: UInt32 = try fields.next()
        let patchCount: UInt32 = try fields.next()
        guard flags <= 3 else { throw SegmentFormatError(.malformed, "restoration has unknown flags") }
        let trailing = try fields.nextBytes(Int(trailingByteCount))
        var patches: [RestorationPatch] = []
        for _ in 0..<patchCount {
            let offset: UInt32 = try fields.next()
            let storedByteCount: UInt32? = flags & 2 != 0 ? try fields.next() : nil
            let byteCount: UInt32 = try fields.next()
            let original = try fields.nextBytes(Int(byteCount))
            patches.append(
                RestorationPatch(
                    offset: offset,
                    storedByteCount: storedByteCount,
                    original: Array(original.readableBytesView)
                )
            )
        }
        guard fields.remainingByteCount == 0 else {
            throw SegmentFormatError(.malformed, "restoration has bytes left over")
        }
        self.init(
            pixelVR: pixelVR,
            pixelByteCount: pixelByteCount,
            pixelLengthIsUndefined: flags & 1 != 0,
            trailingBytes: Array(trailing.readableBytesView),
            patches: patches
        )
    }
}
