// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
package import NIOCore
import Placement
import SegmentFormat

extension PackManifest {
    /// Reads the bytes of `manifest.json`; keys of later versions are passed over.
    package init(decoding bytes: ByteBuffer) throws(PackError) {
        var fields = ManifestFields()
        do throws(DICOMError) {
            try fields.read(bytes)
        } catch {
            let place = error.offset.map { ", byte \($0)" } ?? ""
            throw PackError(.damaged, "the manifest can't be read: \(error.message)\(place)")
        }
        self = try fields.manifest()
    }
}

/// The keys of a manifest as they were read, in whatever order.
private struct ManifestFields {
    var format = ""
    var version = 0
    var pack: PackID?
    var cluster: ClusterID?
    var study: UID?
    var part = 1
    var partCount = 1
    var created: Int64?
    var byteCount: UInt64?
    var digest: SHA256Digest?
    var entries: [EntryFields] = []

    mutating func read(_ bytes: ByteBuffer) throws(DICOMError) {
        var scanner = ManifestScanner(bytes)
        try scanner.object { (scanner, key) throws(DICOMError) in
            switch key {
            case "format": format = try scanner.text()
            case "version": version = try scanner.integer()
            case "pack": pack = try scanner.value(PackID.self) { PackID($0) }
            case "cluster": cluster = try scanner.value(ClusterID.self) { ClusterID($0) }
            case "study": study = try scanner.uid()
            case "part": part = try scanner.integer()
            case "parts": partCount = try scanner.integer()
            case "created": created = try scanner.integer()
            case "byteCount": byteCount = try scanner.integer()
            case "sha256": digest = try scanner.value(SHA256Digest.self) { SHA256Digest(hexadecimal: $0) }
            case "instances":
                try scanner.array(limit: PackLimits.maximumInstanceCount) { scanner throws(DICOMError) in
                    var entry = EntryFields()
                    try entry.read(&scanner)
                    entries.append(entry)
                }
            default: return false
            }
            return true
        }
        try scanner.end()
    }

    func manifest() throws(PackError) -> PackManifest {
        guard format == "varve-pack" else { throw PackError(.notAPack, "manifest.json is not a pack's") }
        guard version == 1 else {
            throw PackError(.unsupportedVersion, "this is a pack of version \(version); read it with a later Varve")
        }
        guard let pack, let study, let created, let byteCount, let digest else {
            throw PackError(.damaged, "the manifest lacks one of pack, study, created, byteCount and sha256")
        }
        guard (1...PackLimits.maximumPartCount).contains(partCount), (1...partCount).contains(part) else {
            throw PackError(.damaged, "the manifest says that it is part \(part) of \(partCount)")
        }
        var manifest = PackManifest(
            description: PackDescription(
                id: pack,
                cluster: cluster,
                studyInstanceUID: study,
                part: part,
                partCount: partCount,
                createdAtMilliseconds: created
            ),
            entries: [],
            contentByteCount: byteCount,
            contentDigest: digest
        )
        manifest.entries.reserveCapacity(entries.count)
        for entry in entries { manifest.entries.append(try entry.entry(in: study)) }
        return manifest
    }
}

/// The keys of one instance.
private struct EntryFields {
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
    var amendments: [AmendmentFields] = []

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
