// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import DICOM
public import NIOCore
public import Placement
public import SegmentFormat

/// One instance of a pack: what is known of it before its bytes are written.
public struct PackInstance: Hashable, Sendable {
    public var seriesInstanceUID: UID
    public var sopInstanceUID: UID
    /// The number of bytes of the Part 10 file.
    public var byteCount: UInt64
    /// The SHA-256 that the bytes must have; `nil` when it is only to be written down, for files that come from outside.
    public var digest: SHA256Digest?
    /// The record that holds the instance in the cluster; `nil` when it comes from outside.
    public var record: RecordID?
    /// Where its frames are in the file, if that is known.
    public var frames: [FrameLocation]
    /// The metadata of the record, byte for byte (`docs/formats/segment.md`).
    public var metadata: ByteBuffer?
    /// What was said of the record since: holds, corrections.
    public var amendments: [PackAmendment]

    public init(
        seriesInstanceUID: UID,
        sopInstanceUID: UID,
        byteCount: UInt64,
        digest: SHA256Digest?,
        record: RecordID? = nil,
        frames: [FrameLocation] = [],
        metadata: ByteBuffer? = nil,
        amendments: [PackAmendment] = []
    ) {
        self.seriesInstanceUID = seriesInstanceUID
        self.sopInstanceUID = sopInstanceUID
        self.byteCount = byteCount
        self.digest = digest
        self.record = record
        self.frames = frames
        self.metadata = metadata
        self.amendments = amendments
    }

    /// `STUDY/SERIES/INSTANCE.dcm`: no component of it is `.` or `..`, nor has a slash, because a `UID` can't.
    func path(in study: UID) -> String { "\(study)/\(seriesInstanceUID)/\(sopInstanceUID).dcm" }
}

/// An amendment or tombstone with its payload, as a record of its own has it.
public struct PackAmendment: Hashable, Sendable {
    public var amendment: Amendment
    /// A reason in UTF-8, or what the kind calls for.
    public var payload: ByteBuffer

    public init(_ amendment: Amendment, payload: ByteBuffer = ByteBuffer()) {
        self.amendment = amendment
        self.payload = payload
    }
}

/// An instance as it lies in a pack.
public struct PackEntry: Hashable, Sendable {
    /// Its digest is that of the bytes in the pack.
    public var instance: PackInstance
    public var digest: SHA256Digest
    /// The name in the ZIP: `STUDY/SERIES/INSTANCE.dcm`.
    public var path: String
    /// Offset of the Part 10 file in the pack.
    public var offset: UInt64
    public var crc32: UInt32

    /// Where the Part 10 file is in the pack.
    public var range: Range<UInt64> { offset..<offset + instance.byteCount }

    /// Where the frame (from 0) is in the pack; `nil` when there is no such frame, or it isn't known where.
    public func range(ofFrame index: Int) -> Range<UInt64>? {
        guard instance.frames.indices.contains(index) else { return nil }
        let frame = instance.frames[index]
        return offset + frame.offset..<offset + frame.offset + frame.byteCount
    }
}
