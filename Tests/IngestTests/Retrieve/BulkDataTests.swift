// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Hummingbird
import Ingest
import NIOCore
import PixelCodecs
import SegmentFormat
import Testing

@Suite("Pixel data by ranges, and as pictures")
struct BulkDataTests {
    private static let path = "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"

    private func pixels(_ shape: MadeInstance.Shape) -> ByteBuffer {
        var pixels = MadeInstance.frames(shape).reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }
        pixels.writeBytes(shape.surplus)
        return pixels
    }

    @Test(
        "Any range is what it is of the whole, surplus bytes after the last frame included",
        arguments: [true, false]
    )
    func ranges(isCompressed: Bool) async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            let shape = MadeInstance.Shape(name: "", frames: 3, surplus: [1, 2, 3, 4], hasTail: true)
            let explicit = TransferSyntax.explicitVRLittleEndian
            let made =
                isCompressed
                ? try MadeInstance.compressed(shape)
                : try MadeInstance.asReceived(shape, try MadeInstance.dataSet(shape), explicit)
            _ = client.archive.add(made)
            let (path, whole) = (Self.path + "/bulkdata/7FE00010", pixels(shape))
            let count = whole.readableBytes
            let octets = "application/octet-stream"
            #expect(try await client.get(path, accept: octets).body == whole)
            #expect(try await client.get(path).parts().map(\.bytes) == [whole])
            let frame = shape.format.frameByteCount
            for range in [0..<1, 0..<frame, frame - 1..<frame + 1, 5..<count - 2, count - 5..<count, count - 1..<count]
            {
                let header = "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
                let answer = try await client.get(path, accept: octets, headers: [.range: header])
                #expect(answer.status == 206)
                #expect(answer.headers[.contentRange] == "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(count)")
                #expect(answer.body == whole.getSlice(at: range.lowerBound, length: range.count))
            }
            let beyond = try await client.get(path, accept: octets, headers: [.range: "bytes=\(count)-"])
            #expect(beyond.status == 416 && beyond.headers[.contentRange] == "bytes */\(count)")
            #expect(client.retrieve.memoryInUse == 0)
        }
    }

    @Test("The description of an instance is read once for its frames, and again when it was forgotten")
    func descriptions() async throws {
        try await withCodecs { pool in
            for (limit, isKept) in [(8 << 20, true), (0, false)] {
                let client = Client(pool) { ($0.smallByteCount, $0.layoutByteCount) = (0, limit) }
                let shape = MadeInstance.Shape(name: "", rows: 64, columns: 64, frames: 3)
                _ = client.archive.add(try MadeInstance.compressed(shape))
                var readByteCounts: [Int] = []
                for _ in 0..<2 {
                    let before = client.archive.readByteCount
                    let answer = try await client.get(Self.path + "/frames/2", accept: "application/octet-stream")
                    #expect(answer.status == 200 && answer.body == MadeInstance.frames(shape)[1])
                    readByteCounts.append(client.archive.readByteCount - before)
                }
                #expect((readByteCounts[1] < readByteCounts[0]) == isKept)
            }
        }
    }

    @Test("A range reads the frames that it touches, not the others")
    func reads() async throws {
        try await withCodecs { pool in
            let client = Client(pool) { $0.smallByteCount = 0 }
            let shape = MadeInstance.Shape(name: "", rows: 64, columns: 64, frames: 20)
            let made = try MadeInstance.compressed(shape)
            _ = client.archive.add(made)
            let start = 7 * shape.format.frameByteCount
            let before = client.archive.readByteCount
            let answer = try await client.get(
                Self.path + "/bulkdata/7FE00010",
                accept: "application/octet-stream",
                headers: [.range: "bytes=\(start)-\(start + 9)"]
            )
            #expect(answer.status == 206 && answer.body == pixels(shape).getSlice(at: start, length: 10))
            let header = made.metadata.pixelDataOffset ?? 0
            #expect(client.archive.readByteCount - before < header + 2 * made.payload.readableBytes / 20 + 4096)
        }
    }

    @Test("The metadata name the pixel data, with the VR that was received", arguments: [8, 16])
    func metadata(bitsAllocated: Int) async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            _ = client.archive.add(try MadeInstance.compressed(.init(name: "", bitsAllocated: bitsAllocated)))
            let models: [[String: [String: Any]]] = try await client.get(Self.path + "/metadata").json()
            let entry = try #require(models.first?["7FE00010"])
            #expect(entry["vr"] as? String == (bitsAllocated == 8 ? "OB" : "OW"))
            #expect(entry["BulkDataURI"] as? String == "http://pacs:8042/dicom-web/\(Self.path)/bulkdata/7FE00010")
        }
    }

    @Test("A study's pictures come one a part, its instances in order, in bounded memory")
    func rendered() async throws {
        try await withCodecs { pool in
            let client = Client(pool) { $0.memoryByteCount = 30_000 }
            for instance in 1...6 {
                _ = client.archive.add(
                    try MadeInstance.compressed(.init(name: "", frames: instance % 2 + 1, instance: instance))
                )
            }
            let answer = try await client.get("studies/1.2.3/rendered", accept: "multipart/related; type=\"image/png\"")
            #expect(answer.status == 200 && answer.isFinished)
            let parts = try answer.parts()
            #expect(parts.count == 9)
            for (index, part) in parts.enumerated() {
                #expect(Array(part.bytes.readableBytesView.prefix(4)) == [0x89, 0x50, 0x4E, 0x47], "\(index)")
            }
            // Instances of two and of one frame by turns.
            let second = try await client.get(Self.path + "/frames/2/rendered", accept: "image/png")
            #expect(second.body == parts[1].bytes)
            let thumbnail = try await client.get("studies/1.2.3/thumbnail", accept: "image/jpeg")
            #expect(thumbnail.status == 200 && thumbnail.contentType == "image/jpeg")
            #expect(client.retrieve.memoryInUse == 0)
        }
    }
}
