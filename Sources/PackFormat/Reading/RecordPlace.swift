// SPDX-License-Identifier: Apache-2.0

import Checksums
public import DICOM
public import NIOCore
public import Placement

/// Where one record lies in a pack, and its line of the manifest: both are read at once by whoever has this, and nothing before them.
///
/// It is no proof: the line has to have its check sum, and the bytes the digest that the line says.
public struct RecordPlace: Hashable, Sendable {
    /// Bytes of one that is written down.
    public static let byteCount = 32

    /// The Part 10 file, as offsets in the pack.
    public let content: Range<UInt64>
    /// What the manifest says of it, without the comma, as offsets in the pack.
    public let line: Range<UInt64>
    /// The first 8 bytes of the line's SHA-256.
    let lineCheck: UInt64

    init(content: Range<UInt64>, line: Range<UInt64>, lineCheck: UInt64) {
        self.content = content
        self.line = line
        self.lineCheck = lineCheck
    }

    /// Reads one that was written down; `nil` when it is none, or says that the place is not known.
    public init?(_ bytes: [UInt8]) {
        var buffer = ByteBuffer(bytes: bytes)
        guard bytes.count == Self.byteCount,
            let (offset, line, check, byteCount, lineByteCount) = buffer.readMultipleIntegers(
                as: (UInt64, UInt64, UInt64, UInt32, UInt32).self
            ),
            lineByteCount > 0,
            offset <= UInt64.max - UInt64(byteCount), line <= UInt64.max - UInt64(lineByteCount)
        else { return nil }
        self.init(
            content: offset..<offset + UInt64(byteCount),
            line: line..<line + UInt64(lineByteCount),
            lineCheck: check
        )
    }

    /// Writes it down in 32 bytes, big-endian; of what is too long for that, that the place is not known.
    func encode(into buffer: inout ByteBuffer) {
        guard let byteCount = UInt32(exactly: content.count), let lineByteCount = UInt32(exactly: line.count) else {
            buffer.writeRepeatingByte(0, count: Self.byteCount)
            return
        }
        buffer.writeMultipleIntegers(content.lowerBound, line.lowerBound, lineCheck, byteCount, lineByteCount)
    }

    /// What `bytes`, read from the place of the line, say of the record.
    ///
    /// - Throws: `.damaged` when it is not that line, or not the record's.
    public func entry(of record: RecordID, _ bytes: ByteBuffer, in study: UID) throws(PackError) -> PackEntry {
        guard Self.check(bytes) == lineCheck else {
            throw PackError(.damaged, "the manifest has another line where the instance's is looked for")
        }
        let entry = try EntryFields.entry(line: bytes, in: study)
        // Not by its range: an offset that is too large has none.
        guard entry.instance.record == record, entry.offset == content.lowerBound,
            entry.instance.byteCount == UInt64(content.count)
        else {
            throw PackError(.damaged, "the manifest's line is about another record, or another place")
        }
        return entry
    }

    static func check(_ line: ByteBuffer) -> UInt64 { SHA256Hasher.digest(of: line).words.0 }
}

extension PackIndex {
    /// The places of records in that order, 32 bytes each: zeros where that is not known, as the manifest is not in lines or the
    /// record not in the pack.
    ///
    /// - Throws: `.damaged` when the manifest says what can't be.
    public func places(of records: [RecordID]) throws(PackError) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: records.count * RecordPlace.byteCount)
        for record in records {
            guard let line = line(of: record), let entry = try entry(of: record) else {
                buffer.writeRepeatingByte(0, count: RecordPlace.byteCount)
                continue
            }
            RecordPlace(content: entry.range, line: line.range, lineCheck: RecordPlace.check(line.bytes))
                .encode(into: &buffer)
        }
        return buffer
    }
}
