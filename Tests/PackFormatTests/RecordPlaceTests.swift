// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import PackFormat
import Placement
import Testing

/// Records of a pack that are found by what was written down of its manifest.
@Suite struct RecordPlaceTests {
    private let pack: ByteBuffer
    private let manifest: PackManifest
    private let records: [RecordID]

    init() throws {
        pack = try PackFixture.pack(5).bytes
        manifest = try PackFixture.read(pack).manifest
        records = try manifest.entries.map { try #require($0.instance.record) }
    }

    @inline(never)
    private static func places(of records: [RecordID], in pack: ByteBuffer) throws -> [[UInt8]] {
        let index = try PackIndexTests.index(pack).index
        var buffer = try index.places(of: records)
        return records.map { _ in buffer.readBytes(length: RecordPlace.byteCount) ?? [] }
    }

    @inline(never)
    private func entry(of record: RecordID, at place: RecordPlace) throws -> PackEntry {
        try place.entry(of: record, PackFixture.slice(pack, place.line), in: manifest.description.studyInstanceUID)
    }

    @Test func `each record is what the manifest says of it`() throws {
        for (entry, bytes) in zip(manifest.entries, try Self.places(of: records, in: pack)) {
            let place = try #require(RecordPlace(bytes))
            #expect(place.content == entry.range)
            let found = try self.entry(of: try #require(entry.instance.record), at: place)
            #expect(found == entry)
        }
    }

    @Test func `another record, another line and a changed one are refused`() throws {
        let places = try Self.places(of: records, in: pack)
        let place = try #require(RecordPlace(places[1]))
        #expect(throws: PackError.self) { try entry(of: records[0], at: place) }
        for byte in 8..<RecordPlace.byteCount {
            var changed = places[1]
            changed[byte] ^= 1
            guard let wrong = RecordPlace(changed), wrong.line.upperBound <= UInt64(pack.readableBytes) else {
                continue
            }
            #expect(throws: PackError.self, "byte \(byte)") { try entry(of: records[1], at: wrong) }
        }
        let line = PackFixture.slice(pack, place.line)
        for offset in 0..<line.readableBytes {
            var damaged = line
            damaged.setInteger((line.getInteger(at: offset, as: UInt8.self) ?? 0) ^ 1, at: offset)
            #expect(throws: PackError.self) {
                try place.entry(of: records[1], damaged, in: manifest.description.studyInstanceUID)
            }
        }
    }

    @Test func `what is not known is nothing`() throws {
        let stranger = RecordID(
            studyInstanceUID: "1.2",
            sopInstanceUID: "1.3",
            payloadDigest: SHA256Hasher.digest(of: ByteBuffer())
        )
        let found = try Self.places(of: [try #require(stranger), records[2]], in: pack)
        #expect(RecordPlace(found[0]) == nil && RecordPlace(found[1]) != nil)
        // A manifest that is not in lines.
        let other = try PackFixture.forged(3) { $0.replace("\n{", with: "{") }
        let others = try Self.places(of: Array(records.prefix(3)), in: other)
        #expect(others.allSatisfy { RecordPlace($0) == nil && $0.count == RecordPlace.byteCount })
        #expect(RecordPlace([]) == nil && RecordPlace([UInt8](repeating: 255, count: 32)) == nil)
        #expect(RecordPlace(Array(found[1].dropLast())) == nil)
    }
}
