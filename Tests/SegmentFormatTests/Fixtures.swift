// SPDX-License-Identifier: Apache-2.0

import Checksums
import Foundation
import NIOCore
import Placement
import SegmentFormat

/// Small generator with a known sequence (SplitMix64), so that a seed names a run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// A seed from `VARVE_TEST_SEED`, or a new one; printed so that a failure can be repeated.
    static func announced(_ test: String) -> SeededGenerator {
        let seed =
            ProcessInfo.processInfo.environment["VARVE_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...(.max))
        FileHandle.standardError.write(Data("\(test): VARVE_TEST_SEED=\(seed)\n".utf8))
        return SeededGenerator(seed: seed)
    }
}

enum Fixture {
    static let cluster = ClusterID(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10)
    static let node = NodeID(high: 0x1112_1314_1516_1718, low: 0x191A_1B1C_1D1E_1F20)
    static let segment = SegmentID(rawValue: 0x2A)

    static func id(_ number: UInt64) throws -> RecordID {
        guard let id = RecordID(high: number << 32, low: number &* 0x9E37_79B9_7F4A_7C15) else {
            throw SegmentFormatError(.malformed, "no such id")
        }
        return id
    }

    static func bytes(_ count: Int, seed: UInt64) -> ByteBuffer {
        var generator = SeededGenerator(seed: seed)
        var buffer = ByteBuffer()
        buffer.reserveCapacity(count + 8)
        while buffer.readableBytes < count { buffer.writeInteger(generator.next()) }
        buffer.moveWriterIndex(to: count)
        return buffer
    }

    static func image(_ number: UInt64, payload: Int, metadata: Int = 100) throws -> RecordImage {
        let payload = bytes(payload, seed: number)
        return try RecordImage(
            id: id(number),
            type: .instance,
            metadata: bytes(metadata, seed: number + 1000),
            payload: payload,
            payloadDigest: SHA256Hasher.digest(of: payload),
            mapEpoch: MapEpoch(rawValue: 7),
            writtenAtMilliseconds: 1_700_000_000_000 + Int64(number)
        )
    }

    static func hexadecimal(_ buffer: ByteBuffer) -> String {
        buffer.readableBytesView.map { String(format: "%02x", $0) }.joined()
    }
}

/// A segment in memory, written batch by batch.
struct SegmentBuilder {
    private(set) var bytes: [UInt8]
    private(set) var entries: [FooterEntry] = []
    /// The first offset of each batch.
    private(set) var batches: [Int] = []

    init() {
        let header = SegmentHeader(
            segment: Fixture.segment,
            segmentClass: .shared,
            cluster: Fixture.cluster,
            node: Fixture.node,
            createdAtMilliseconds: 1_700_000_000_000
        )
        bytes = Array(header.encoded().readableBytesView)
    }

    var buffer: ByteBuffer { ByteBuffer(bytes: bytes) }

    mutating func appendBatch(_ images: [RecordImage]) throws {
        let batchOffset = UInt64(bytes.count)
        batches.append(bytes.count)
        for image in images {
            let offset = UInt64(bytes.count)
            entries.append(FooterEntry(id: image.id, type: image.type, offset: offset, extent: image.extent))
            append(image, batchOffset: batchOffset)
        }
        let rest = bytes.count % SegmentLayout.blockByteCount
        if rest > 0 {
            let padding = try RecordImage.padding(
                byteCount: SegmentLayout.blockByteCount - rest,
                writtenAtMilliseconds: 0
            )
            append(padding, batchOffset: batchOffset)
        }
    }

    private mutating func append(_ image: RecordImage, batchOffset: UInt64) {
        let parts = image.parts(
            cluster: Fixture.cluster,
            segment: Fixture.segment,
            offset: UInt64(bytes.count),
            batchOffset: batchOffset
        )
        for part in [parts.head, parts.payload, parts.tail] { bytes += part.readableBytesView }
    }

    mutating func appendFooter() throws {
        let footer = try SegmentFooter.encoded(
            cluster: Fixture.cluster,
            segment: Fixture.segment,
            offset: UInt64(bytes.count),
            entries: entries
        )
        bytes += footer.readableBytesView
    }

    mutating func appendZeros(_ count: Int) {
        bytes += [UInt8](repeating: 0, count: count)
    }

    mutating func flip(_ offset: Int, mask: UInt8 = 0x10) {
        bytes[offset] ^= mask
    }

    mutating func zero(_ range: Range<Int>) {
        for index in range { bytes[index] = 0 }
    }
}

/// Runs a scan over bytes in memory.
func scan(
    _ bytes: [UInt8],
    windowByteCount: Int = 1 << 20,
    start: UInt64 = UInt64(SegmentHeader.byteCount),
    skipsHoles: Bool = true
) -> (records: [RecordHeader], result: SegmentScanner.Result) {
    var scanner = SegmentScanner(
        cluster: Fixture.cluster,
        segment: Fixture.segment,
        start: start,
        fileByteCount: UInt64(bytes.count),
        windowByteCount: windowByteCount
    )
    var records: [RecordHeader] = []
    while true {
        switch scanner.next() {
        case .read(let offset, let byteCount):
            let end = min(bytes.count, Int(offset) + byteCount)
            scanner.received(ByteBuffer(bytes: bytes[Int(offset)..<end]))
        case .findData(let offset):
            if skipsHoles {
                let data = bytes[Int(offset)...].firstIndex { $0 != 0 }
                scanner.receivedData(at: data.map { UInt64($0 & ~4095) })
            } else {
                scanner.receivedData(at: offset)
            }
        case .record(let header): records.append(header)
        case .finished(let result): return (records, result)
        }
    }
}
