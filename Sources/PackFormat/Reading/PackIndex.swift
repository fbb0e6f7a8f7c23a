// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
public import Placement

/// Where the records of a pack are, of which each is parsed when it is asked for: the first image of a study does not wait for
/// what the manifest says of all the others.
///
/// It relies on a manifest having one instance a line (`docs/formats/pack.md`); of one that has not, all is parsed at once.
public struct PackIndex: Hashable, Sendable {
    private enum Place: Hashable, Sendable {
        /// A line of the manifest.
        case line(Range<Int>)
        case parsed(PackEntry)
    }

    public let description: PackDescription
    private let json: ByteBuffer
    /// Where the manifest begins; no instance ends behind this.
    private let contentEnd: UInt64
    private var places: [RecordID: Place] = [:]

    /// What stands before the id of an instance's record; no text in a manifest has a quote in it.
    private static let recordKey = Array("\"record\":\"".utf8)
    private static let recordByteCount = 36
    /// Bytes of a line among which it is looked for.
    private static let recordKeyLimit = 512
    private static let newline = UInt8(ascii: "\n")

    /// Reads a manifest whose SHA-256 was compared, and which lies at `offset` of the pack.
    init(_ json: ByteBuffer, at offset: UInt64) throws(PackError) {
        self.json = json
        self.contentEnd = offset
        if let lines = Self.lines(of: json), let head = try Self.head(lines.head, of: json) {
            self.description = head
            self.places.reserveCapacity(lines.instances.count)
            for line in lines.instances {
                if let record = Self.record(in: line, of: json) { self.places[record] = .line(line) }
            }
            return
        }
        let manifest = try PackManifest(decoding: json)
        self.description = manifest.description
        for entry in manifest.entries {
            if let record = entry.instance.record { self.places[record] = .parsed(entry) }
        }
    }

    /// The records that the pack has, in no order.
    public var records: some Collection<RecordID> { places.keys }

    /// What the manifest says of a record; `nil` when it is not in the pack.
    public func entry(of record: RecordID) throws(PackError) -> PackEntry? {
        let entry: PackEntry
        switch places[record] {
        case nil: return nil
        case .parsed(let parsed): entry = parsed
        case .line(let line): entry = try self.entry(in: line)
        }
        guard entry.instance.record == record else {
            throw PackError(.damaged, "an instance of the manifest has two records")
        }
        guard entry.offset <= contentEnd, entry.instance.byteCount <= contentEnd - entry.offset else {
            throw PackError(.damaged, "\(entry.path) does not end before the manifest")
        }
        return entry
    }

    private func entry(in line: Range<Int>) throws(PackError) -> PackEntry {
        try EntryFields.entry(line: bytes(of: line), in: description.studyInstanceUID)
    }

    /// The line of a record, and where it is in the pack; `nil` when the manifest is not in lines.
    func line(of record: RecordID) -> (range: Range<UInt64>, bytes: ByteBuffer)? {
        guard case .line(let line) = places[record] else { return nil }
        let start = contentEnd + UInt64(line.lowerBound)
        return (start..<start + UInt64(line.count), bytes(of: line))
    }

    private func bytes(of line: Range<Int>) -> ByteBuffer {
        // Lines are parts of the manifest, so this is never empty.
        json.getSlice(at: json.readerIndex + line.lowerBound, length: line.count) ?? ByteBuffer()
    }

    // MARK: - Lines

    /// The head and the instances of a manifest that is written in lines: `{…"instances":[`, objects with a comma behind all
    /// but the last, `]}`.
    private static func lines(of json: ByteBuffer) -> (head: Range<Int>, instances: [Range<Int>])? {
        let bytes = json.readableBytesUInt8Span
        var ranges: [Range<Int>] = []
        var start = 0
        for index in bytes.indices where bytes[index] == newline {
            ranges.append(start..<index)
            start = index + 1
        }
        guard start == bytes.count, ranges.count >= 3, ranges.count - 2 <= PackLimits.maximumInstanceCount,
            let last = ranges.last, text(last, of: json) == "]}"
        else { return nil }
        var instances: [Range<Int>] = []
        instances.reserveCapacity(ranges.count - 2)
        for (number, range) in ranges.dropFirst().dropLast().enumerated() {
            let hasComma = !range.isEmpty && bytes[range.upperBound - 1] == UInt8(ascii: ",")
            guard hasComma == (number < ranges.count - 3) else { return nil }
            instances.append(range.lowerBound..<(hasComma ? range.upperBound - 1 : range.upperBound))
        }
        return (ranges[0], instances)
    }

    /// What the head says of the pack; `nil` when the line is not all of it.
    private static func head(_ range: Range<Int>, of json: ByteBuffer) throws(PackError) -> PackDescription? {
        guard let text = text(range, of: json), text.hasSuffix("\"instances\":[") else { return nil }
        return try PackManifest(decoding: ByteBuffer(string: text + "]}")).description
    }

    /// The record that a line is about; `nil` when it names none.
    private static func record(in line: Range<Int>, of json: ByteBuffer) -> RecordID? {
        // Behind the path and two UIDs, before anything that is long.
        let bytes = json.readableBytesUInt8Span.extracting(line.prefix(recordKeyLimit))
        var start = 0
        while start + recordKey.count + recordByteCount <= bytes.count {
            if (recordKey.indices.allSatisfy { bytes[start + $0] == recordKey[$0] }) {
                let digits = start + recordKey.count
                return RecordID(digits: bytes.extracting(digits..<digits + recordByteCount))
            }
            start += 1
        }
        return nil
    }

    private static func text(_ range: Range<Int>, of json: ByteBuffer) -> String? {
        json.getString(at: json.readerIndex + range.lowerBound, length: range.count)
    }
}
