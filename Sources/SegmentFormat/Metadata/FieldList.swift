// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore

/// Writes fields: tag (2 bytes), length (4 bytes), value.
struct FieldListWriter {
    private(set) var buffer = ByteBuffer()

    mutating func write(_ tag: InstanceMetadata.FieldTag, _ body: (inout ByteBuffer) -> Void) {
        write(rawTag: tag.rawValue, body)
    }

    mutating func write(_ tag: InstanceMetadata.FieldTag, _ text: String) {
        write(tag) { $0.writeString(text) }
    }

    mutating func write(_ tag: InstanceMetadata.FieldTag, _ integer: Int64) {
        write(tag) { $0.writeLittle(integer) }
    }

    mutating func write(_ tag: InstanceMetadata.FieldTag, _ digest: SHA256Digest) {
        write(tag) { $0.writeDigest(digest) }
    }

    mutating func write(_ field: InstanceMetadata.UnknownField) {
        write(rawTag: field.tag) { $0.writeBytes(field.value) }
    }

    private mutating func write(rawTag: UInt16, _ body: (inout ByteBuffer) -> Void) {
        buffer.writeLittle(rawTag)
        let lengthIndex = buffer.writerIndex
        buffer.writeLittle(UInt32(0))
        let start = buffer.writerIndex
        body(&buffer)
        buffer.setInteger(UInt32(clamping: buffer.writerIndex - start), at: lengthIndex, endianness: .little)
    }
}

/// Fields as read: the known ones by tag, the others in order.
struct FieldList {
    private var known: [InstanceMetadata.FieldTag: ByteBuffer] = [:]
    private(set) var unknownFields: [InstanceMetadata.UnknownField] = []

    init(decoding buffer: ByteBuffer) throws(SegmentFormatError) {
        guard buffer.readableBytes <= SegmentLayout.maximumMetadataByteCount else {
            throw SegmentFormatError(.limitExceeded, "metadata is over its limit")
        }
        var fields = FieldReader(buffer, of: "metadata")
        while fields.remainingByteCount > 0 {
            let rawTag: UInt16 = try fields.next()
            let byteCount: UInt32 = try fields.next()
            let value = try fields.nextBytes(Int(byteCount))
            guard let tag = InstanceMetadata.FieldTag(rawValue: rawTag) else {
                unknownFields.append(.init(tag: rawTag, value: Array(value.readableBytesView)))
                continue
            }
            guard known.updateValue(value, forKey: tag) == nil else {
                throw SegmentFormatError(.malformed, "metadata gives field \(rawTag) twice")
            }
        }
    }

    func has(_ tag: InstanceMetadata.FieldTag) -> Bool {
        known[tag] != nil
    }

    func value(_ tag: InstanceMetadata.FieldTag) throws(SegmentFormatError) -> ByteBuffer {
        guard let value = known[tag] else {
            throw SegmentFormatError(.malformed, "metadata lacks field \(tag.rawValue)")
        }
        return value
    }

    func text(_ tag: InstanceMetadata.FieldTag) throws(SegmentFormatError) -> String {
        let bytes = try value(tag)
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
            throw SegmentFormatError(.malformed, "metadata field \(tag.rawValue) is not UTF-8")
        }
        return text
    }

    func integer(_ tag: InstanceMetadata.FieldTag) throws(SegmentFormatError) -> Int64 {
        let bytes = try value(tag)
        guard bytes.readableBytes == 8,
            let integer = bytes.getInteger(at: bytes.readerIndex, endianness: .little, as: Int64.self)
        else { throw SegmentFormatError(.malformed, "metadata field \(tag.rawValue) is not an integer") }
        return integer
    }

    /// An integer that is not negative.
    func count(_ tag: InstanceMetadata.FieldTag) throws(SegmentFormatError) -> Int {
        guard let count = Int(exactly: try integer(tag)), count >= 0 else {
            throw SegmentFormatError(.malformed, "metadata field \(tag.rawValue) is negative")
        }
        return count
    }

    func digest(_ tag: InstanceMetadata.FieldTag) throws(SegmentFormatError) -> SHA256Digest {
        guard let digest = SHA256Digest(try value(tag).readableBytesView) else {
            throw SegmentFormatError(.malformed, "metadata field \(tag.rawValue) is not a digest")
        }
        return digest
    }

    func frames(_ tag: InstanceMetadata.FieldTag) throws(SegmentFormatError) -> [FrameLocation] {
        let bytes = try value(tag)
        guard bytes.readableBytes % 16 == 0 else {
            throw SegmentFormatError(.malformed, "metadata field \(tag.rawValue) is not a list of frames")
        }
        var fields = FieldReader(bytes, of: "frames")
        var frames: [FrameLocation] = []
        frames.reserveCapacity(bytes.readableBytes / 16)
        for _ in 0..<(bytes.readableBytes / 16) {
            frames.append(FrameLocation(offset: try fields.next(), byteCount: try fields.next()))
        }
        return frames
    }
}
