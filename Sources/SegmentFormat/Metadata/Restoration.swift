// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Where a frame's bytes are in a record's payload.
public struct FrameLocation: Hashable, Sendable {
    public var offset: UInt64
    public var byteCount: UInt64

    public init(offset: UInt64, byteCount: UInt64) {
        self.offset = offset
        self.byteCount = byteCount
    }
}

/// Bytes that a data set had when it was received and that storing it changed.
public struct RestorationPatch: Hashable, Sendable {
    /// Where the changed bytes are, counted from the first byte of the stored data set.
    public var offset: UInt32
    /// How many bytes the stored data set has there.
    public var storedByteCount: UInt32
    /// What is to take their place.
    public var original: [UInt8]

    /// Without `storedByteCount` there are as many stored bytes as original ones.
    public init(offset: UInt32, storedByteCount: UInt32? = nil, original: [UInt8]) {
        self.offset = offset
        self.storedByteCount = storedByteCount ?? UInt32(clamping: original.count)
        self.original = original
    }
}

/// What it takes to turn a stored data set with compressed pixel data back into the one received, byte for byte.
public struct Restoration: Hashable, Sendable {
    /// The VR of Pixel Data as received: its two letters, the first in the upper byte.
    public var pixelVR: UInt16
    /// The number of bytes in the value of Pixel Data as received.
    public var pixelByteCount: UInt64
    /// Whether the length of Pixel Data was undefined as received.
    public var pixelLengthIsUndefined: Bool
    /// What followed the last frame in the value.
    public var trailingBytes: [UInt8]
    public var patches: [RestorationPatch]

    public init(
        pixelVR: UInt16,
        pixelByteCount: UInt64,
        pixelLengthIsUndefined: Bool = false,
        trailingBytes: [UInt8] = [],
        patches: [RestorationPatch] = []
    ) {
        self.pixelVR = pixelVR
        self.pixelByteCount = pixelByteCount
        self.pixelLengthIsUndefined = pixelLengthIsUndefined
        self.trailingBytes = trailingBytes
        self.patches = patches
    }
}

extension Restoration {
    /// The first bytes of the data set as received; `before` are those of the stored one, up to Pixel Data.
    ///
    /// - Returns: nil when a patch lies outside of `before`.
    public func restored(_ before: ByteBuffer) -> ByteBuffer? {
        guard !patches.isEmpty else { return before }
        var result = ByteBuffer()
        result.reserveCapacity(before.readableBytes)
        var position = 0
        for patch in patches.sorted(by: { $0.offset < $1.offset }) {
            let offset = Int(patch.offset)
            guard offset >= position, offset + Int(patch.storedByteCount) <= before.readableBytes,
                let unchanged = before.getSlice(at: before.readerIndex + position, length: offset - position)
            else { return nil }
            result.writeImmutableBuffer(unchanged)
            result.writeBytes(patch.original)
            position = offset + Int(patch.storedByteCount)
        }
        guard
            let rest = before.getSlice(at: before.readerIndex + position, length: before.readableBytes - position)
        else { return nil }
        result.writeImmutableBuffer(rest)
        return result
    }
}
