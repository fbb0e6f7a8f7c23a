// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import PackFormat
import Placement
import SegmentFormat

/// Packs of the tests' own: the same arguments give the same bytes.
enum PackFixture {
    static let cluster = ClusterID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10)
    static let id = PackID(high: 0x1112_1314_1516_1718, low: 0x191A_1B1C_1D1E_1F20)
    static let study = "1.2.826.0.1.3680043.10.1"

    static func description(cluster: ClusterID? = cluster) throws -> PackDescription {
        PackDescription(
            id: id,
            cluster: cluster,
            studyInstanceUID: try UID(lenient: study),
            createdAtMilliseconds: 1_700_000_000_000
        )
    }

    /// A Part 10 file that any reader of DICOM takes.
    static func file(_ number: Int, textByteCount: Int = 0) throws -> ByteBuffer {
        let sopClass = try UID(validating: "1.2.840.10008.5.1.4.1.1.7")
        let sopInstance = try UID(validating: "\(study).9.\(number)")
        let meta = FileMeta(
            sopClassUID: sopClass,
            sopInstanceUID: sopInstance,
            transferSyntax: .explicitVRLittleEndian
        )
        var dataSet = DataSet(encoding: .explicitLittleEndian)
        dataSet.set(.sopClassUID, .ui, sopClass.string)
        dataSet.set(.sopInstanceUID, .ui, sopInstance.string)
        dataSet.set(.studyInstanceUID, .ui, study)
        dataSet.set(.seriesInstanceUID, .ui, "\(study).\(number % 2)")
        if textByteCount > 0 {
            dataSet.set(Tag(0x0008, 0x4000), .lt, String(repeating: "x", count: textByteCount))
        }
        var file = try Part10.write(meta)
        file.writeImmutableBuffer(try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian))
        return file
    }

    static func instance(_ number: Int, _ bytes: ByteBuffer, rich: Bool = false) throws -> PackInstance {
        let sopInstance = "\(study).9.\(number)"
        let digest = SHA256Hasher.digest(of: bytes)
        var instance = PackInstance(
            seriesInstanceUID: try UID(lenient: "\(study).\(number % 2)"),
            sopInstanceUID: try UID(lenient: sopInstance),
            byteCount: UInt64(bytes.readableBytes),
            digest: digest
        )
        guard rich,
            let record = RecordID(studyInstanceUID: study, sopInstanceUID: sopInstance, payloadDigest: digest)
        else { return instance }
        instance.record = record
        instance.frames = [FrameLocation(offset: 10, byteCount: 20), FrameLocation(offset: 30, byteCount: 7)]
        instance.metadata = ByteBuffer(bytes: (0..<UInt8(number % 5)).map { $0 &* 77 })
        instance.amendments = [
            PackAmendment(
                Amendment(
                    subject: record,
                    kind: .hold,
                    order: Amendment.Order(term: Term(rawValue: 3), sequence: .max),
                    reference: Amendment.Reference(high: 1, low: 2),
                    issuedAtMilliseconds: -5
                ),
                payload: ByteBuffer(string: "inquiry 7")
            ),
            PackAmendment(
                Amendment(
                    subject: record,
                    kind: Amendment.Kind(rawValue: 999),
                    order: Amendment.Order(term: Term(rawValue: 4), sequence: 0),
                    reference: Amendment.Reference(high: .max, low: .max),
                    issuedAtMilliseconds: .max
                )
            ),
        ]
        return instance
    }

    /// A written pack.
    struct Pack {
        var bytes: ByteBuffer
        var summary: PackWriter.Summary
        var files: [ByteBuffer]
    }

    static func pack(_ count: Int, rich: Bool = true, textByteCount: Int = 0) throws -> Pack {
        var writer = try PackWriter(try description(cluster: rich ? cluster : nil))
        var bytes = ByteBuffer()
        var files: [ByteBuffer] = []
        for number in 1...count {
            let file = try file(number, textByteCount: textByteCount)
            files.append(file)
            bytes.writeImmutableBuffer(try writer.begin(try instance(number, file, rich: rich)))
            var rest = file
            while let piece = rest.readSlice(length: min(100, rest.readableBytes)), piece.readableBytes > 0 {
                bytes.writeImmutableBuffer(try writer.append(piece))
            }
            bytes.writeImmutableBuffer(try writer.end())
        }
        let end = try writer.finish()
        bytes.writeImmutableBuffer(end.bytes)
        return Pack(bytes: bytes, summary: end.summary, files: files)
    }

    /// Reads the manifest of `pack`; the ranges that were asked for.
    static func read(
        _ pack: ByteBuffer,
        tailByteCount: UInt64 = PackReader.defaultTailByteCount
    ) throws -> (manifest: PackManifest, ranges: [Range<UInt64>]) {
        var reader = try PackReader(byteCount: UInt64(pack.readableBytes), tailByteCount: tailByteCount)
        var ranges: [Range<UInt64>] = []
        var step = reader.first
        while case .read(let range) = step {
            ranges.append(range)
            step = try reader.receive(slice(pack, range))
        }
        guard case .finished(let manifest) = step else { throw PackError(.invalid, "the reader does not finish") }
        return (manifest, ranges)
    }

    static func slice(_ pack: ByteBuffer, _ range: Range<UInt64>) -> ByteBuffer {
        pack.getSlice(at: pack.readerIndex + Int(range.lowerBound), length: range.count) ?? ByteBuffer()
    }

    /// Checks all bytes of `pack`, in pieces.
    static func verify(
        _ pack: ByteBuffer,
        _ manifest: PackManifest,
        pieceByteCount: Int = 1000
    ) -> PackVerifier.Result {
        var verifier = PackVerifier(manifest)
        var rest = pack
        while let piece = rest.readSlice(length: min(pieceByteCount, rest.readableBytes)), piece.readableBytes > 0 {
            verifier.append(piece)
        }
        return verifier.finish(expecting: UInt64(pack.readableBytes))
    }

    /// A pack whose manifest says something else, and is sealed anew as its writer would.
    static func forged(_ count: Int = 2, _ change: (inout String) -> Void) throws -> ByteBuffer {
        let pack = try pack(count).bytes
        let comment = String(
            buffer: slice(pack, UInt64(pack.readableBytes - 111)..<UInt64(pack.readableBytes))
        )
        let fields = comment.split(separator: " ")
        guard let offset = Int(fields[2], radix: 16), let count = Int(fields[3], radix: 16) else {
            throw PackError(.invalid, "the comment is not a pack's")
        }
        var text = String(buffer: slice(pack, UInt64(offset)..<UInt64(offset + count)))
        change(&text)
        let json = ByteBuffer(string: text)
        let place = ManifestPlace(
            offset: UInt64(offset),
            byteCount: UInt64(json.readableBytes),
            digest: SHA256Hasher.digest(of: json)
        )
        let manifest = ZipEntry(
            name: PackManifest.name,
            offset: UInt64(offset - 43),
            byteCount: place.byteCount,
            crc32: CRC32.checksum(of: json),
            hasDescriptor: false
        )
        var directory = ZipDirectory()
        for entry in try read(pack).manifest.entries {
            let headerByteCount = 30 + entry.path.utf8.count
            directory.add(
                ZipEntry(
                    name: entry.path,
                    offset: entry.offset - UInt64(headerByteCount),
                    byteCount: entry.instance.byteCount,
                    crc32: entry.crc32,
                    hasDescriptor: true
                )
            )
        }
        directory.add(manifest)
        var bytes = slice(pack, 0..<manifest.offset)
        bytes.writeImmutableBuffer(manifest.localHeader())
        bytes.writeImmutableBuffer(json)
        bytes.writeImmutableBuffer(directory.finished(at: manifest.endOffset, comment: place.comment))
        return bytes
    }
}
