// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import Placement
import SegmentFormat

/// The keys of one instance.
struct EntryFields {
    var path = ""
    var series: UID?
    var sopInstance: UID?
    var record: RecordID?
    var offset: UInt64?
    var byteCount: UInt64?
    var digest: SHA256Digest?
    var crc32: UInt32?
    var frames: [FrameLocation] = []
    var metadata: ByteBuffer?
    private var amendments: [AmendmentFields] = []

    mutating func read(_ scanner: inout ManifestScanner) throws(DICOMError) {
        try scanner.object { (scanner, key) throws(DICOMError) in
            switch key {
            case "path": path = try scanner.text()
            case "series": series = try scanner.uid()
            case "instance": sopInstance = try scanner.uid()
            case "record": record = try scanner.value(RecordID.self) { RecordID($0) }
            case "offset": offset = try scanner.integer()
            case "byteCount": byteCount = try scanner.integer()
            case "sha256": digest = try scanner.value(SHA256Digest.self) { SHA256Digest(hexadecimal: $0) }
            case "crc32": crc32 = try scanner.value(UInt32.self) { $0.utf8.count == 8 ? UInt32($0, radix: 16) : nil }
            case "frames":
                try scanner.array(limit: .max) { scanner throws(DICOMError) in
                    var numbers: [UInt64] = []
                    try scanner.array(limit: 2) { scanner throws(DICOMError) in
                        numbers.append(try scanner.integer())
                    }
                    guard numbers.count == 2 else { throw scanner.failure("a frame is an offset and a length") }
                    frames.append(FrameLocation(offset: numbers[0], byteCount: numbers[1]))
                }
            case "metadata": metadata = try scanner.bytes(limit: PackLimits.maximumMetadataByteCount)
            case "amendments":
                try scanner.array(limit: PackLimits.maximumAmendmentCount) { scanner throws(DICOMError) in
                    var amendment = AmendmentFields()
                    try amendment.read(&scanner)
                    amendments.append(amendment)
                }
            default: return false
            }
            return true
        }
    }

    /// What a line of the manifest says, its comma left out.
    static func entry(line: ByteBuffer, in study: UID) throws(PackError) -> PackEntry {
        var fields = EntryFields()
        do throws(DICOMError) {
            var scanner = ManifestScanner(line)
            try fields.read(&scanner)
            try scanner.end()
        } catch {
            throw PackError(.damaged, "an instance of the manifest can't be read: \(error.message)")
        }
        return try fields.entry(in: study)
    }

    func entry(in study: UID) throws(PackError) -> PackEntry {
        guard let series, let sopInstance, let offset, let byteCount, let digest, let crc32 else {
            throw PackError(.damaged, "an instance of the manifest lacks a field")
        }
        var instance = PackInstance(
            seriesInstanceUID: series,
            sopInstanceUID: sopInstance,
            byteCount: byteCount,
            digest: digest,
            record: record,
            frames: frames,
            metadata: metadata
        )
        guard path == instance.path(in: study) else {
            throw PackError(.damaged, "an instance of the manifest has a path that is not made of its UIDs")
        }
        if !amendments.isEmpty {
            guard let record else {
                throw PackError(.damaged, "\(path) has amendments and no record that they are about")
            }
            instance.amendments = amendments.map { $0.amendment(of: record) }
        }
        try instance.validate(path: path, else: .damaged)
        return PackEntry(instance: instance, digest: digest, path: path, offset: offset, crc32: crc32)
    }
}

/// The keys of one amendment.
private struct AmendmentFields {
    var kind: UInt16 = 0
    var term: UInt64 = 0
    var sequence: UInt64 = 0
    var issued: Int64 = 0
    var reference = Amendment.Reference(high: 0, low: 0)
    var payload = ByteBuffer()
    private static let requiredCount = 5

    mutating func read(_ scanner: inout ManifestScanner) throws(DICOMError) {
        var requiredCount = 0
        try scanner.object { (scanner, key) throws(DICOMError) in
            switch key {
            case "kind": kind = try scanner.integer()
            case "term": term = try scanner.integer()
            case "sequence": sequence = try scanner.integer()
            case "issued": issued = try scanner.integer()
            case "reference":
                reference = try scanner.value(Amendment.Reference.self) { text in
                    Identifier128(text).map { Amendment.Reference(high: $0.high, low: $0.low) }
                }
            case "payload":
                payload = try scanner.bytes(limit: Amendment.maximumPayloadByteCount)
                return true
            default: return false
            }
            requiredCount += 1
            return true
        }
        // At once, so that a short text can't make a long list of nothing.
        guard requiredCount == Self.requiredCount else { throw scanner.failure("an amendment lacks a field") }
    }

    func amendment(of record: RecordID) -> PackAmendment {
        PackAmendment(
            Amendment(
                subject: record,
                kind: Amendment.Kind(rawValue: kind),
                order: Amendment.Order(term: Term(rawValue: term), sequence: sequence),
                reference: reference,
                issuedAtMilliseconds: issued
            ),
            payload: payload
        )
    }
}
