// SPDX-License-Identifier: Apache-2.0

/// Where a frame's bytes are in a record's payload.
public struct FrameLocation: Hashable, Sendable {
    public var offset: UInt64
    public var byteCount: UInt64

    public init(offset: UInt64, byteCount: UInt64) {
        self.offset = offset
        self.byteCount = byteCount
    }
}

/// Bytes that a data set had at `offset` when it was received and that storing it changed.
public struct RestorationPatch: Hashable, Sendable {
    /// Counted from the data set's first byte.
    public var offset: UInt32
    public var original: [UInt8]

    public init(offset: UInt32, original: [UInt8]) {
        self.offset = offset
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
