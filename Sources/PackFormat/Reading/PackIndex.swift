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
    /// No instance ends behind this.
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
        var fields = EntryFields()
        do throws(DICOMError) {
            // Lines are parts of the manifest, so this is never empty.
            let text = json.getSlice(at: json.readerIndex + line.lowerBound, length: line.count) ?? ByteBuffer()
            var scanner = ManifestScanner(text)
            try fields.read(&scanner)
            try scanner.end()
        } catch {
            throw PackError(.damaged, "an instance of the manifest can't be read: \(error.message)")
        }
        return try fields.entry(in: description.studyInstanceUID)
    }

    // MARK: - Lines

    /// The head and the instances of a manifest that is written in lines: `{…"instances":[`, objects with a comma behind all
    /// but the last, `]}`.
    private static func lines(of json: ByteBuffer) -> (head: Range<Int>, instances: [Range<Int>])? {
        let view = json.readableBytesView
        var ranges: [Range<Int>] = []
        var start = view.startIndex
        while start < view.endIndex {
            guard let end = view[start...].firstIndex(of: newline) else { return nil }
            ranges.append(start - view.startIndex..<end - view.startIndex)
            start = end + 1
        }
        guard ranges.count >= 3, ranges.count - 2 <= PackLimits.maximumInstanceCount,
            let last = ranges.last, text(last, of: json) == "]}"
        else { return nil }
        var instances: [Range<Int>] = []
        instances.reserveCapacity(ranges.count - 2)
        for (number, range) in ranges.dropFirst().dropLast().enumerated() {
            let hasComma = byte(range.upperBound - 1, of: json) == UInt8(ascii: ",")
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
        let view = json.readableBytesView
        // Behind the path and two UIDs, before anything that is long.
        let end = min(line.upperBound, line.lowerBound + recordKeyLimit)
        var rest = view[view.startIndex + line.lowerBound..<view.startIndex + end]
        while let quote = rest.firstIndex(of: recordKey[0]) {
            rest = rest[quote...]
            if rest.starts(with: recordKey) {
                let start = quote - view.startIndex + recordKey.count
                guard start + recordByteCount <= line.upperBound else { return nil }
                return text(start..<start + recordByteCount, of: json).flatMap { RecordID($0) }
            }
            rest = rest.dropFirst()
        }
        return nil
    }

    private static func byte(_ offset: Int, of json: ByteBuffer) -> UInt8? {
        json.getInteger(at: json.readerIndex + offset)
    }

    private static func text(_ range: Range<Int>, of json: ByteBuffer) -> String? {
        json.getString(at: json.readerIndex + range.lowerBound, length: range.count)
    }
}
