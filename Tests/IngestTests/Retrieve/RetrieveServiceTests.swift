// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Ingest
import Logging
import NIOCore
import PixelCodecs
import SegmentFormat
import Testing

private let explicit = TransferSyntax.explicitVRLittleEndian
private typealias Shape = MadeInstance.Shape

private func service(
    _ archive: MemoryArchive,
    _ pool: CodecPool,
    _ change: (inout RetrieveService.Configuration) -> Void = { _ in }
) -> RetrieveService {
    var configuration = RetrieveService.Configuration()
    change(&configuration)
    return RetrieveService(
        directory: archive,
        records: archive,
        codecs: pool,
        configuration: configuration,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
}

/// Runs `body` with threads for codecs and stops them afterwards.
func withCodecs<Result>(_ body: (CodecPool) async throws -> Result) async throws -> Result {
    let pool = CodecPool(threadCount: 2, queueLimit: 64)
    defer { pool.shutdown() }
    return try await body(pool)
}

/// All bytes of a prepared instance; checks that they are as many as announced.
private func bytes(_ prepared: PreparedInstance) async throws -> ByteBuffer {
    var all = ByteBuffer()
    try await prepared.send { for buffer in $0 { all.writeImmutableBuffer(buffer) } }
    #expect(all.readableBytes == prepared.byteCount)
    return all
}

/// The data set behind the file meta information, which must name the syntax.
private func dataSet(_ file: ByteBuffer, _ syntax: TransferSyntax) throws -> ByteBuffer {
    let header = try Part10.readHeader(file)
    #expect(header.transferSyntax == syntax)
    return try #require(
        file.getSlice(at: file.readerIndex + header.dataSetOffset, length: file.readableBytes - header.dataSetOffset)
    )
}

private let native = SyntaxChoice.converted(explicit.uid.string)

@Suite("Retrieving instances")
struct RetrieveServiceTests {
    static let shapes = [
        MadeInstance.Shape(name: "one grey frame"),
        .init(name: "odd columns, 8 bit", rows: 5, columns: 7, bitsAllocated: 8, surplus: [0]),
        .init(name: "many frames", frames: 21),
        .init(name: "colour by pixel", samples: 3, bitsAllocated: 8),
        .init(name: "colour by plane", frames: 3, samples: 3, bitsAllocated: 8, isPlanar: true),
        .init(name: "surplus and tail", frames: 2, surplus: [1, 2, 3, 4, 5, 6], hasTail: true),
        .init(name: "tail only", hasTail: true),
    ]

    @Test(
        "What was compressed here comes back as received, byte for byte, whole and in pieces",
        arguments: shapes,
        [PixelCodec.jpegLS, .jpeg2000]
    )
    func restored(shape: MadeInstance.Shape, codec: PixelCodec) async throws {
        let made = try MadeInstance.compressed(shape, codec)
        try await withCodecs { pool in
            for limit in [32 << 20, 1] {
                let archive = MemoryArchive()
                let instance = archive.add(made)
                let service = service(archive, pool) { $0.wholeByteCount = limit }
                let prepared = try await service.prepare(instance, choice: native, allowsStored: false)
                #expect(prepared.transferSyntax == explicit.uid.string)
                #expect(try await dataSet(bytes(prepared), explicit) == made.dataSet)
                let stored = try await service.prepare(instance, choice: .stored, allowsStored: false)
                #expect(stored.transferSyntax == instance.storedTransferSyntax)
                #expect(try await bytes(stored) == made.payload)
            }
        }
    }

    @Test("A damaged copy is passed over; with two of them nothing is delivered")
    func damagedCopies() async throws {
        let made = try MadeInstance.compressed(.init(name: "", frames: 3))
        let other = try MadeInstance.compressed(.init(name: "", frames: 3, instance: 9))
        try await withCodecs { pool in
            let archive = MemoryArchive()
            let instance = archive.add(made)
            let service = service(archive, pool)
            archive.damage(instance, on: MemoryArchive.nodes[0]) {
                $0.metadata.receivedDigest = other.metadata.receivedDigest
            }
            let prepared = try await service.prepare(instance, choice: native, allowsStored: false)
            #expect(try await dataSet(bytes(prepared), explicit) == made.dataSet)
            archive.damage(instance, on: MemoryArchive.nodes[1]) {
                $0.metadata.receivedDigest = other.metadata.receivedDigest
            }
            let error = await #expect(throws: RetrieveFailure.self) {
                try await service.prepare(instance, choice: native, allowsStored: true)
            }
            #expect(error?.kind == .damaged)
        }
    }

    @Test("Every damaged byte of the payload is noticed", arguments: [32 << 20, 1])
    func everyByte(wholeByteCount: Int) async throws {
        let made = try MadeInstance.compressed(.init(name: "", rows: 4, columns: 5, hasTail: true))
        try await withCodecs { pool in
            let archive = MemoryArchive()
            let instance = archive.add(made)
            let service = service(archive, pool) { $0.wholeByteCount = wholeByteCount }
            let pixelDataOffset = try #require(made.metadata.pixelDataOffset)
            for offset in made.metadata.dataSetOffset..<made.payload.readableBytes {
                // The private bytes of the header are all alike: a few of them do.
                if offset < pixelDataOffset && offset % 41 != 0 { continue }
                for node in MemoryArchive.nodes {
                    archive.damage(instance, on: node) { copy in
                        copy.payload = made.payload
                        let byte = copy.payload.getInteger(at: offset, as: UInt8.self) ?? 0
                        copy.payload.setInteger(byte ^ 0x10, at: offset)
                    }
                }
                var received = ByteBuffer()
                var isWhole = false
                do {
                    let prepared = try await service.prepare(instance, choice: native, allowsStored: false)
                    try await prepared.send { for buffer in $0 { received.writeImmutableBuffer(buffer) } }
                    isWhole = true
                } catch is RetrieveFailure {
                    // What was sent until then is not a whole instance.
                    #expect(received.readableBytes < made.payload.readableBytes + made.dataSet.readableBytes)
                }
                // Item headers and the offset table are not needed for decoding: damage there changes nothing.
                if isWhole { #expect(try dataSet(received, explicit) == made.dataSet, "offset \(offset)") }
            }
        }
    }

    @Test("A node that is down is passed over")
    func nodeDown() async throws {
        let made = try MadeInstance.compressed(.init(name: ""))
        try await withCodecs { pool in
            let archive = MemoryArchive()
            let instance = archive.add(made)
            archive.take(down: MemoryArchive.nodes[0])
            let prepared = try await service(archive, pool).prepare(instance, choice: native, allowsStored: false)
            #expect(try await dataSet(bytes(prepared), explicit) == made.dataSet)
            archive.take(down: MemoryArchive.nodes[1])
            let error = await #expect(throws: RetrieveFailure.self) {
                try await service(archive, pool).prepare(instance, choice: native, allowsStored: false)
            }
            #expect(error?.kind == .unavailable)
        }
    }

    @Test(
        "What is stored as received is converted",
        arguments: [
            TransferSyntax.explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian,
            .deflatedExplicitVRLittleEndian,
        ]
    )
    func converted(syntax: TransferSyntax) async throws {
        let shape = Shape(name: "", frames: 2, hasTail: true, privateVR: syntax.isExplicitVR ? .ob : .un)
        let made = try MadeInstance.asReceived(shape, try MadeInstance.dataSet(shape, syntax), syntax)
        try await withCodecs { pool in
            let archive = MemoryArchive()
            let instance = archive.add(made)
            let service = service(archive, pool)
            let prepared = try await service.prepare(instance, choice: native, allowsStored: false)
            #expect(try await dataSet(bytes(prepared), explicit) == MadeInstance.dataSet(shape))
            let stored = try await service.prepare(instance, choice: .stored, allowsStored: false)
            #expect(try await bytes(stored) == made.payload)
            guard syntax != explicit else { return }
            archive.damage(instance, on: MemoryArchive.nodes[0]) { copy in
                copy.payload.setInteger(UInt8(0x55), at: copy.payload.writerIndex - 9)
            }
            let again = try await service.prepare(instance, choice: native, allowsStored: false)
            #expect(try await dataSet(bytes(again), explicit) == MadeInstance.dataSet(shape))
        }
    }

    @Test(
        "Frames received encapsulated are decoded, however they are cut into fragments",
        arguments: [(PixelCodec.jpegLS, 1, true), (.jpeg2000, 1, false), (.jpegLS, 3, true), (.jpeg2000, 2, true)]
    )
    func encapsulated(codec: PixelCodec, split: Int, hasTable: Bool) async throws {
        let shape = Shape(name: "", frames: 4, hasTail: true)
        let syntax: TransferSyntax = codec == .jpegLS ? .jpegLSLossless : .jpeg2000Lossless
        let encoded = try MadeInstance.frames(shape).map { try codec.encode($0, format: shape.format) }
        let header = try DataSetWriter.write(MadeInstance.header(shape), transferSyntax: syntax)
        var (received, _) = MadeInstance.encapsulate(encoded, into: header, split: split, hasTable: hasTable)
        received.writeImmutableBuffer(try DataSetWriter.write(MadeInstance.tail(shape), transferSyntax: syntax))
        let made = try MadeInstance.asReceived(shape, received, syntax)
        try await withCodecs { pool in
            let archive = MemoryArchive()
            let instance = archive.add(made)
            let prepared = try await service(archive, pool).prepare(instance, choice: native, allowsStored: false)
            #expect(try await dataSet(bytes(prepared), explicit) == MadeInstance.dataSet(shape))
        }
    }

    @Test("What can't be decoded is refused, or delivered as stored where the client allows it")
    func undecodable() async throws {
        let shape = Shape(name: "")
        let header = try DataSetWriter.write(MadeInstance.header(shape), transferSyntax: .jpegBaseline)
        let junk = ByteBuffer(repeating: 9, count: 100)
        for syntax in [TransferSyntax.jpegBaseline, .jpegLSLossless, .rleLossless] {
            let (received, _) = MadeInstance.encapsulate([junk], into: header)
            let made = try MadeInstance.asReceived(shape, received, syntax)
            try await withCodecs { pool in
                let archive = MemoryArchive()
                let instance = archive.add(made)
                let service = service(archive, pool)
                let error = await #expect(throws: RetrieveFailure.self) {
                    try await service.prepare(instance, choice: native, allowsStored: false)
                }
                #expect(error?.kind == .notAcceptable)
                let prepared = try await service.prepare(instance, choice: native, allowsStored: true)
                #expect(prepared.transferSyntax == syntax.uid.string)
                #expect(try await bytes(prepared) == made.payload)
            }
        }
    }

    @Test("Nothing is found under another study's name")
    func notFound() async throws {
        try await withCodecs { pool in
            let archive = MemoryArchive()
            _ = archive.add(try MadeInstance.compressed(.init(name: "")))
            let service = service(archive, pool)
            #expect(try await service.instances(of: .study("1.2.3")).count == 1)
            let error = await #expect(throws: RetrieveFailure.self) {
                try await service.instances(of: .series(study: "1.2.4", series: "1.2.3.1"))
            }
            #expect(error?.kind == .notFound)
        }
    }
}
