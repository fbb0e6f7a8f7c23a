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
