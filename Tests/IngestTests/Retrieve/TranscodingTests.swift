// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Hummingbird
import Ingest
import NIOCore
import PixelCodecs
import Testing

@Suite("Encoding for a client that asks for it")
struct TranscodingTests {
    private static let targets: [(TransferSyntax, PixelCodec)] = [
        (.jpegLSLossless, .jpegLS), (.jpeg2000Lossless, .jpeg2000), (.rleLossless, .rle),
    ]

    @Test("Frames and instances, grey and colour, decode to what was received", arguments: [false, true])
    func lossless(isColour: Bool) async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            let shape = MadeInstance.Shape(
                name: "",
                frames: 3,
                samples: isColour ? 3 : 1,
                bitsAllocated: isColour ? 8 : 16,
                isPlanar: isColour,
                surplus: [0, 0],
                hasTail: true
            )
            _ = client.archive.add(try MadeInstance.compressed(shape))
            let path = "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"
            for (syntax, codec) in Self.targets {
                let uid = syntax.uid.string
                let octets = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=\(uid)"
                let frames = try await client.get(path + "/frames/1,3", accept: octets).parts()
                #expect(frames.map(\.syntax) == [uid, uid])
                for (frame, number) in zip(frames, [0, 2]) {
                    #expect(try codec.decode(frame.bytes, format: shape.format) == MadeInstance.frames(shape)[number])
                }
                let accept = "application/dicom; transfer-syntax=\(uid)"
                let answer = try await client.get(path, accept: accept)
                #expect(answer.status == 200 && answer.contentType == "application/dicom;transfer-syntax=\(uid)")
                let part = try Part10.readHeader(answer.body)
                #expect(part.transferSyntax == syntax)
                let dataSet = try #require(
                    answer.body.getSlice(
                        at: answer.body.readerIndex + part.dataSetOffset,
                        length: answer.body.readableBytes - part.dataSetOffset
                    )
                )
                let read = try DataSetReader.read(dataSet, transferSyntax: syntax).dataSet
                #expect(read.string(.patientName) == "Test^Retrieve")
                #expect(read[.dataSetTrailingPadding] != nil)
                if isColour { #expect(read.integer(.planarConfiguration) == 0) }
                let location = try #require(try PixelDataLocation.find(in: dataSet, transferSyntax: syntax))
                #expect(location.fragments.count == 3)
                var format = shape.format
                format.isPlanar = false
                for (fragment, frame) in zip(location.fragments, MadeInstance.frames(shape)) {
                    let bytes = try #require(
                        dataSet.getSlice(at: dataSet.readerIndex + fragment.offset, length: fragment.byteCount)
                    )
                    let decoded = try codec.decode(bytes, format: format)
                    #expect(Self.interleaved(frame, shape) == Array(decoded.readableBytesView))
                }
                #expect(try await client.get(path, accept: accept).headers[.eTag] == answer.headers[.eTag])
            }
            #expect(client.retrieve.memoryInUse == 0)
        }
    }

    private static func interleaved(_ frame: ByteBuffer, _ shape: MadeInstance.Shape) -> [UInt8] {
        let bytes = Array(frame.readableBytesView)
        guard shape.isPlanar else { return bytes }
        let count = shape.rows * shape.columns
        return (0..<count).flatMap { pixel in (0..<3).map { bytes[$0 * count + pixel] } }
    }

    @Test("What can't be carried is refused, or native among others")
    func refusals() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            // Single bits are not encoded by any codec here.
            let bits = MadeInstance.Shape(name: "", bitsAllocated: 1)
            let explicit = TransferSyntax.explicitVRLittleEndian
            _ = client.archive.add(try MadeInstance.asReceived(bits, try MadeInstance.dataSet(bits), explicit))
            _ = client.archive.add(try MadeInstance.compressed(.init(name: "", instance: 2)))
            let jpeg2000 = "; transfer-syntax=\(TransferSyntax.jpeg2000Lossless.uid)"
            let path = "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"
            let single = try await client.get(path, accept: "application/dicom" + jpeg2000)
            #expect(single.status == 406)
            let frame = try await client.get(path + "/frames/1", accept: "application/octet-stream" + jpeg2000)
            #expect(frame.status == 406)
            let several = try await client.get(
                "studies/1.2.3",
                accept: "multipart/related; type=\"application/dicom\"" + jpeg2000
            )
            #expect(several.isFinished)
            #expect(
                try several.parts().map(\.syntax) == [explicit.uid.string, TransferSyntax.jpeg2000Lossless.uid.string]
            )
            let lossy = try await client.get(path, accept: "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50")
            #expect(lossy.status == 406)
        }
    }
}
