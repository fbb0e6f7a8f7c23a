// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import DICOMWeb
import Ingest
import Logging
import NIOCore
import PixelCodecs
import Placement
import SegmentFormat
import Telemetry
import Testing

/// What the store path makes of an instance, and that retrieving undoes it.
@Suite struct StoredFormTests {
    private typealias Shape = MadeInstance.Shape

    static let shapes: [MadeInstance.Shape] = [
        MadeInstance.Shape(name: "grey, 16 bit"),
        MadeInstance.Shape(name: "grey, 8 bit, odd frame, padded", rows: 5, columns: 7, bitsAllocated: 8, surplus: [0]),
        MadeInstance.Shape(name: "several frames", frames: 3),
        MadeInstance.Shape(name: "colour by pixel", samples: 3, bitsAllocated: 8),
        MadeInstance.Shape(name: "colour by plane", samples: 3, bitsAllocated: 8, isPlanar: true),
        MadeInstance.Shape(name: "surplus bytes", surplus: [1, 2, 3, 4, 5, 6]),
        MadeInstance.Shape(name: "elements after Pixel Data", hasTail: true),
    ]

    private let sender = StorePipeline.Sender(callingAETitle: "SENDER", calledAETitle: "VARVE")

    private func received(
        _ dataSet: ByteBuffer,
        _ syntax: TransferSyntax = .explicitVRLittleEndian
    ) throws -> ReceivedInstance {
        try ReceivedInstance(
            head: dataSet,
            transferSyntax: syntax,
            expectedSOPClass: "",
            expectedSOPInstance: ""
        )
    }

    private func compressed(_ instance: ReceivedInstance, _ dataSet: ByteBuffer) throws -> StoredForm? {
        guard case .compress(let plan) = CompressionPlan.decide(for: instance, codecClass: .balanced) else {
            return nil
        }
        let frames = try #require(plan.frames(of: instance))
        let encoded = try frames.map { try plan.codec.encode($0, format: plan.format) }
        var pixels = SHA256Hasher()
        let location = try #require(try PixelDataLocation.find(in: dataSet, transferSyntax: .explicitVRLittleEndian))
        let value = try #require(
            dataSet.getSlice(at: dataSet.readerIndex + location.valueOffset, length: location.byteCount ?? 0)
        )
        pixels.update(value)
        let builder = PayloadBuilder(instance, sender: sender, receivedAt: Timestamp(milliseconds: 1))
        let digests = try builder.digests(plan: plan)
        #expect(digests.pixels == pixels.digest())
        return try builder.compressed(encoded, plan: plan, digests: digests)
    }

    @Test(arguments: shapes)
    func `explicit VR comes back byte for byte after compression`(shape: MadeInstance.Shape) async throws {
        let dataSet = try MadeInstance.dataSet(shape)
        let form = try #require(try compressed(try received(dataSet), dataSet))
        #expect(form.metadata.storedTransferSyntax == TransferSyntax.jpegLSLossless.uid.string)
        let archive = MemoryArchive()
        let stored = archive.add(MadeInstance(dataSet: dataSet, payload: form.payload, metadata: form.metadata))
        try await withCodecs { pool in
            let service = RetrieveService(
                directory: archive,
                records: archive,
                codecs: pool,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
            let prepared = try await service.prepare(
                stored,
                choice: .converted(TransferSyntax.explicitVRLittleEndian.uid.string),
                allowsStored: false
            )
            var file = ByteBuffer()
            try await prepared.send { for buffer in $0 { file.writeImmutableBuffer(buffer) } }
            #expect(SHA256Hasher.digest(of: file) == form.metadata.receivedDigest)
            let header = try Part10.readHeader(file)
            file.moveReaderIndex(forwardBy: header.dataSetOffset)
            #expect(file == dataSet)
        }
    }

    @Test(arguments: shapes)
    func `the stored stream is valid DICOM with one fragment a frame`(shape: MadeInstance.Shape) throws {
        let dataSet = try MadeInstance.dataSet(shape)
        let form = try #require(try compressed(try received(dataSet), dataSet))
        let header = try Part10.readHeader(form.payload)
        #expect(header.transferSyntax == .jpegLSLossless)
        var body = form.payload
        body.moveReaderIndex(forwardBy: header.dataSetOffset)
        let result = try DataSetReader.read(body, transferSyntax: .jpegLSLossless)
        let location = try #require(result.pixelData)
        #expect(location.vr == .ob)
        #expect(location.fragments.count == shape.frames)
        #expect(location.basicOffsetTable.first == 0)
        #expect(
            form.metadata.frames.map { Int($0.offset) } == location.fragments.map { $0.offset + header.dataSetOffset }
        )
        if shape.samples > 1 { #expect(result.dataSet.integer(.planarConfiguration) == 0) }
    }

    @Test func `the same content gets the same record id, other content another`() async throws {
        let one = try MadeInstance.dataSet(Shape(name: "one"))
        let again = try PayloadBuilder(try received(one), sender: sender, receivedAt: Timestamp(milliseconds: 5))
            .asReceived(note: "")
        let first = try PayloadBuilder(try received(one), sender: sender, receivedAt: Timestamp(milliseconds: 9))
            .asReceived(note: "")
        #expect(first.recordID == again.recordID)
        var other = one
        let last = other.writerIndex - 1
        other.setInteger((other.getInteger(at: last, as: UInt8.self) ?? 0) ^ 1, at: last)
        let changed = try PayloadBuilder(
            try received(other),
            sender: sender,
            receivedAt: Timestamp(milliseconds: 5)
        )
        .asReceived(note: "")
        #expect(changed.recordID != first.recordID)
        #expect(changed.recordID.group == first.recordID.group)
    }

    @Test(arguments: [0x0008_0016, 0x0008_0018, 0x0020_000D, 0x0020_000E] as [UInt32])
    func `an instance without one of its four UIDs is refused with the reason`(tag: UInt32) throws {
        let made = try MadeInstance.dataSet(Shape(name: "one"))
        var dataSet = try DataSetReader.read(made, transferSyntax: .explicitVRLittleEndian).dataSet
        dataSet.remove(DICOM.Tag(UInt16(tag >> 16), UInt16(tag & 0xFFFF)))
        let bytes = try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian)
        let failure = try #require(throws: StoreFailure.self) { try received(bytes) }
        #expect(failure.kind == .malformed)
        #expect(failure.reason.contains("missing or empty"))
    }

    @Test func `many bytes behind the last frame stay as they came`() throws {
        let shape = Shape(name: "surplus", surplus: [UInt8](repeating: 9, count: 70_000))
        let instance = try received(try MadeInstance.dataSet(shape))
        guard case .keep(let reason) = CompressionPlan.decide(for: instance, codecClass: .balanced) else {
            Issue.record("metadata cannot hold 70,000 surplus bytes")
            return
        }
        #expect(reason.contains("behind the last"))
    }

    @Test func `a data set cut anywhere is refused or read, never a trap`() throws {
        let made = try MadeInstance.dataSet(Shape(name: "one", hasTail: true))
        for count in 0..<made.readableBytes {
            let cut = try #require(made.getSlice(at: made.readerIndex, length: count))
            do {
                let instance = try received(cut)
                _ = CompressionPlan.decide(for: instance, codecClass: .balanced)
            } catch let failure as StoreFailure {
                #expect(failure.kind == .malformed)
            }
        }
    }
}

/// Digests of stored instances cover these bytes: a change would turn every duplicate into a conflict.
@Test func `the file meta information of a stored instance never changes`() throws {
    let sender = StorePipeline.Sender(callingAETitle: "MODALITY", calledAETitle: "VARVE")
    let instance = try ReceivedInstance(
        head: try MadeInstance.dataSet(MadeInstance.Shape(name: "pinned")),
        transferSyntax: .explicitVRLittleEndian,
        expectedSOPClass: "",
        expectedSOPInstance: ""
    )
    let form = try PayloadBuilder(instance, sender: sender, receivedAt: Timestamp(milliseconds: 0)).asReceived(note: "")
    let meta = try #require(form.payload.getBytes(at: form.payload.readerIndex, length: form.metadata.dataSetOffset))
    var expected = ByteBuffer(repeating: 0, count: 128)
    expected.writeString("DICM")
    func add(_ element: UInt16, _ vr: String, _ value: String) {
        expected.writeMultipleIntegers(UInt16(2), element, endianness: .little)
        expected.writeString(vr)
        expected.writeInteger(UInt16(value.utf8.count), endianness: .little)
        expected.writeString(value)
    }
    expected.writeBytes([2, 0, 0, 0] + Array("UL".utf8) + [4, 0, 160, 0, 0, 0])
    expected.writeBytes([2, 0, 1, 0] + Array("OB".utf8) + [0, 0, 2, 0, 0, 0, 0, 1])
    add(0x0002, "UI", "1.2.840.10008.5.1.4.1.1.7\0")
    add(0x0003, "UI", "1.2.3.1.1\0")
    add(0x0010, "UI", "1.2.840.10008.1.2.1\0")
    add(0x0012, "UI", "2.25.301452049339268168405964274361167652378")
    add(0x0013, "SH", "VARVE ")
    #expect(meta == Array(buffer: expected))
    #expect(form.metadata.receivedDigest == form.payloadDigest)
}

extension StoredForm {
    /// The whole payload in one buffer.
    fileprivate var payload: ByteBuffer { pieces.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) } }
}
