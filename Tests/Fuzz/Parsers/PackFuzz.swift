// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import FuzzHarness
import NIOCore
import PackFormat
import Placement
import SegmentFormat

/// What a store gives for a pack, whatever became of it.
///
/// Input: one byte that says what follows: a pack's bytes as they are, or where a manifest is to be (2 bytes) and the
/// manifest, around which the rest of a pack is made, so that the mutator need not guess digests; a store's marker; or a record, its
/// place and its line.
enum PackFuzz {
    static let target = FuzzTarget("pack", seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        var bytes = input
        switch bytes.takeByte() % 4 {
        case 0:
            self.read(bytes, tailByteCount: 64)
            _ = self.index(bytes, tailByteCount: 64)
        case 1:
            let offset = UInt64(bytes.readInteger(endianness: .little, as: UInt16.self) ?? 0)
            let pack = self.sealed(bytes, at: offset)
            self.read(pack, tailByteCount: 1 << 10)
            _ = self.index(pack, tailByteCount: 1 << 10)
        case 2: _ = try? StoreMarker(decoding: bytes)
        default: self.readPlace(bytes)
        }
    }

    /// A place and a line that are made for each other, and say whatever they like.
    private static func readPlace(_ bytes: ByteBuffer) {
        var rest = bytes
        guard let record = rest.readBytes(length: RecordID.byteCount).flatMap({ RecordID(bytes: $0) }),
            let study = try? UID(validating: "1.2"),
            var place = rest.readBytes(length: RecordPlace.byteCount)
        else { return }
        place.replaceSubrange(16..<24, with: SHA256Hasher.digest(of: rest).bytes.prefix(8))
        let entry = try? RecordPlace(place)?.entry(of: record, rest, in: study)
        FuzzTarget.check(entry == nil || entry?.instance.record == record, "a line of another record")
    }

    private static func index(_ pack: ByteBuffer, tailByteCount: UInt64) -> PackIndex? {
        let byteCount = UInt64(pack.readableBytes)
        guard var reader = try? PackReader(byteCount: byteCount, tailByteCount: tailByteCount) else { return nil }
        var step = reader.firstForIndex
        while case .read(let range) = step {
            let slice = pack.getSlice(at: pack.readerIndex + Int(range.lowerBound), length: range.count)
            guard let next = try? reader.receiveForIndex(slice ?? ByteBuffer()) else { return nil }
            step = next
        }
        guard case .finished(let index) = step else { return nil }
        for record in index.records.prefix(16) {
            guard let entry = try? index.entry(of: record) else { continue }
            FuzzTarget.check(entry.range.upperBound <= byteCount, "an indexed entry beyond the pack")
            guard var places = try? index.places(of: [record]),
                let place = RecordPlace(places.readBytes(length: RecordPlace.byteCount) ?? [])
            else { continue }
            let line = pack.getSlice(at: pack.readerIndex + Int(place.line.lowerBound), length: place.line.count)
            let placed = try? place.entry(of: record, line ?? ByteBuffer(), in: index.description.studyInstanceUID)
            FuzzTarget.check(placed == entry, "a record's place leads to another")
        }
        return index
    }

    private static func read(_ pack: ByteBuffer, tailByteCount: UInt64) {
        let byteCount = UInt64(pack.readableBytes)
        guard var reader = try? PackReader(byteCount: byteCount, tailByteCount: tailByteCount) else { return }
        var step = reader.first
        var readCount = 0
        while case .read(let range) = step {
            readCount += 1
            FuzzTarget.check(readCount <= 2, "more than two reads")
            FuzzTarget.check(!range.isEmpty && range.upperBound <= byteCount, "a range beyond the pack: \(range)")
            let slice = pack.getSlice(at: pack.readerIndex + Int(range.lowerBound), length: range.count)
            guard let next = try? reader.receive(slice ?? ByteBuffer()) else { return }
            step = next
        }
        guard case .finished(let manifest) = step else { return }
        let index = self.index(pack, tailByteCount: tailByteCount)
        var records: Set<RecordID> = []
        var end: UInt64 = 0
        for entry in manifest.entries {
            FuzzTarget.check(entry.range.lowerBound > end, "entries overlap")
            end = entry.range.upperBound
            // Of two instances of one record any will do.
            if let record = entry.instance.record, records.insert(record).inserted {
                let found = try? index?.entry(of: record)
                FuzzTarget.check(found?.instance.record == record, "a record that is not in the index")
            }
            FuzzTarget.check(end <= byteCount, "an entry beyond the pack")
            FuzzTarget.check(!entry.path.contains("/../") && !entry.path.hasPrefix("/"), "a path that leads out")
            for index in entry.instance.frames.indices {
                guard let range = entry.range(ofFrame: index) else { FuzzTarget.fail("a frame without a range") }
                FuzzTarget.check(range.upperBound <= end, "a frame beyond its instance")
            }
        }
        var verifier = PackVerifier(manifest)
        var rest = pack
        while let piece = rest.readSlice(length: min(100, rest.readableBytes)), piece.readableBytes > 0 {
            verifier.append(piece)
        }
        _ = verifier.finish(expecting: byteCount)
    }

    /// A pack with the manifest at `offset`, zeros before it, and the directory that the manifest asks for.
    private static func sealed(_ manifest: ByteBuffer, at offset: UInt64) -> ByteBuffer {
        var directory = ZipDirectory()
        var end: UInt64 = 0
        for entry in (try? PackManifest(decoding: manifest))?.entries ?? [] {
            let file = ZipEntry(
                name: entry.path,
                offset: end,
                byteCount: entry.instance.byteCount,
                crc32: entry.crc32,
                hasDescriptor: true
            )
            directory.add(file)
            end = file.endOffset
        }
        let entry = ZipEntry(
            name: PackManifest.name,
            offset: offset,
            byteCount: UInt64(manifest.readableBytes),
            crc32: CRC32.checksum(of: manifest),
            hasDescriptor: false
        )
        directory.add(entry)
        let place = ManifestPlace(
            offset: entry.contentOffset,
            byteCount: entry.byteCount,
            digest: SHA256Hasher.digest(of: manifest)
        )
        var pack = ByteBuffer(repeating: 0, count: Int(offset))
        pack.writeImmutableBuffer(entry.localHeader())
        pack.writeImmutableBuffer(manifest)
        pack.writeImmutableBuffer(directory.finished(at: entry.endOffset, comment: place.comment))
        return pack
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        var marker = ByteBuffer(integer: UInt8(2))
        marker.writeImmutableBuffer(StoreMarker(cluster: ClusterID(high: 1, low: 2)).encoded())
        guard let pack = try? self.pack() else { return [marker] }
        var whole = ByteBuffer(integer: UInt8(0))
        whole.writeImmutableBuffer(pack)
        var manifest = ByteBuffer(integer: UInt8(1))
        let bytes = Array(pack.readableBytesView)
        let prefix = Array("{\"format\"".utf8)
        if let start = bytes.indices.first(where: { bytes[$0...].starts(with: prefix) }),
            let end = bytes.indices.first(where: { bytes[$0...].starts(with: Array("\n]}\n".utf8)) })
        {
            // Of the local header before it.
            manifest.writeInteger(UInt16(start - 43), endianness: .little)
            manifest.writeBytes(bytes[start..<end + 4])
        }
        return [marker, whole, manifest] + self.placeSeeds(pack)
    }

    private static func placeSeeds(_ pack: ByteBuffer) -> [ByteBuffer] {
        guard let index = self.index(pack, tailByteCount: 1 << 10), let record = index.records.first,
            var places = try? index.places(of: [record]),
            let bytes = places.readBytes(length: RecordPlace.byteCount), let place = RecordPlace(bytes),
            let line = pack.getSlice(at: pack.readerIndex + Int(place.line.lowerBound), length: place.line.count)
        else { return [] }
        var seed = ByteBuffer(integer: UInt8(3))
        seed.writeBytes(record.bytes + bytes)
        seed.writeImmutableBuffer(line)
        return [seed]
    }

    private static func pack() throws -> ByteBuffer {
        let study = try UID(lenient: "1.2")
        var writer = try PackWriter(
            PackDescription(
                id: PackID(high: 1, low: 2),
                cluster: ClusterID(high: 3, low: 4),
                studyInstanceUID: study,
                createdAtMilliseconds: 5
            )
        )
        let payload = ByteBuffer(string: "payload")
        guard let record = RecordID(high: 1, low: 1) else { return ByteBuffer() }
        let hold = Amendment(
            subject: record,
            kind: .hold,
            order: Amendment.Order(term: Term(rawValue: 1), sequence: 2),
            reference: Amendment.Reference(high: 1, low: 2),
            issuedAtMilliseconds: 3
        )
        let instance = PackInstance(
            seriesInstanceUID: try UID(lenient: "1.3"),
            sopInstanceUID: try UID(lenient: "1.4"),
            byteCount: 7,
            digest: nil,
            record: record,
            frames: [FrameLocation(offset: 1, byteCount: 2)],
            metadata: ByteBuffer(string: "meta"),
            amendments: [PackAmendment(hold, payload: ByteBuffer(string: "why"))]
        )
        var bytes = try writer.begin(instance)
        bytes.writeImmutableBuffer(try writer.append(payload))
        bytes.writeImmutableBuffer(try writer.end())
        bytes.writeImmutableBuffer(try writer.finish().bytes)
        return bytes
    }
}
