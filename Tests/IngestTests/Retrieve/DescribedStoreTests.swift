// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Foundation
import Hummingbird
import Ingest
import Logging
import NIOConcurrencyHelpers
import NIOCore
import PixelCodecs
import Testing

@Suite("Storing metadata and bulk data over HTTP")
struct DescribedStoreTests {
    private struct Part {
        var type: String?
        var location: String?
        var bytes: ByteBuffer

        init(_ type: String?, _ location: String?, _ bytes: ByteBuffer) {
            (self.type, self.location, self.bytes) = (type, location, bytes)
        }

        static func metadata(_ text: String) -> Part {
            Part("application/dicom+json", nil, ByteBuffer(string: text))
        }
    }

    private func post(
        _ parts: [Part],
        to receiver: RecordingReceiver,
        type: String = "application/dicom+json",
        path: String = "studies",
        limits: DescribedStoreLimits = DescribedStoreLimits(),
        closes: Bool = true
    ) async throws -> (status: Int, text: String, model: [String: Any]) {
        try await withCodecs { pool in
            let archive = MemoryArchive()
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let service = DICOMWebService(
                retrieve: RetrieveService(directory: archive, records: archive, codecs: pool, logger: logger),
                receiver: receiver,
                describedStoreLimits: limits,
                logger: logger
            )
            var body = ByteBuffer()
            for part in parts {
                body.writeString("\r\n--b\r\n")
                if let type = part.type { body.writeString("Content-Type: \(type)\r\n") }
                if let location = part.location { body.writeString("Content-Location: \(location)\r\n") }
                body.writeString("\r\n")
                body.writeImmutableBuffer(part.bytes)
            }
            if closes { body.writeString("\r\n--b--\r\n") }
            var head = HTTPRequest(method: .post, scheme: "http", authority: "pacs", path: "/dicom-web/" + path)
            head.headerFields[.contentType] = "multipart/related; type=\"\(type)\"; boundary=b"
            let response = await service.answer(Request(head: head, body: RequestBody(buffer: body)))
            let writer = CollectingWriter()
            try await response.body.write(writer)
            let bytes = writer.bytes.withLockedValue { $0 }
            let model = try JSONSerialization.jsonObject(with: Data(bytes.readableBytesView)) as? [String: Any]
            return (Int(response.status.code), String(buffer: bytes), model ?? [:])
        }
    }

    /// An image of one row; `number` is the last component of its SOP Instance UID.
    private func image(_ number: Int, columns: Int = 4, uri: String) -> String {
        """
        {"00080016":{"vr":"UI","Value":["1.2"]},"00080018":{"vr":"UI","Value":["1.2.\(number)"]},
        "0020000D":{"vr":"UI","Value":["1"]},"0020000E":{"vr":"UI","Value":["1.1"]},
        "00280010":{"vr":"US","Value":[1]},"00280011":{"vr":"US","Value":[\(columns)]},
        "00280100":{"vr":"US","Value":[8]},"7FE00010":{"vr":"OB","BulkDataURI":"\(uri)"}}
        """
    }

    private func values<Value>(_ model: [String: Any], _ sequence: String, _ tag: String) -> [Value?] {
        let items = (model[sequence] as? [String: Any])?["Value"] as? [[String: [String: Any]]] ?? []
        return items.map { ($0[tag]?["Value"] as? [Value])?.first }
    }

    /// SOP Instance UIDs of a sequence.
    private func uids(_ model: [String: Any], _ sequence: String) -> [String?] { values(model, sequence, "00081155") }

    private func reasons(_ model: [String: Any]) -> [Int?] { values(model, "00081198", "00081197") }

    private let pixels = ByteBuffer(bytes: [1, 2, 3, 4])

    @Test("Instances are put together, whatever the order of the parts, and stored as any other")
    func all() async throws {
        let receiver = RecordingReceiver(stored)
        let (status, text, model) = try await post(
            [
                .metadata("[\(image(1, uri: "a")),\(image(2, uri: "http://pacs/dicom-web/b"))]"),
                Part("application/octet-stream", "b", ByteBuffer(bytes: [5, 6, 7, 8])),
                Part(nil, "http://pacs/dicom-web/a", pixels),
            ],
            to: receiver
        )
        #expect(status == 200, "\(text)")
        #expect(uids(model, "00081199") == ["1.2.1", "1.2.2"])
        let found = receiver.dataSets.withLockedValue { $0 }
        #expect(found.map { $0.syntax } == [.explicitVRLittleEndian, .explicitVRLittleEndian])
        let read = try found.map { try DataSetReader.read($0.bytes, transferSyntax: $0.syntax).dataSet }
        #expect(read.map { $0.string(.sopInstanceUID) } == ["1.2.1", "1.2.2"])
        #expect(read.map { $0.bytes(.pixelData) } == [pixels, ByteBuffer(bytes: [5, 6, 7, 8])])
    }

    @Test("Relative URIs are relative to the URL of the request")
    func relative() async throws {
        let parts = [Part.metadata("[\(image(1, uri: "../x/1"))]"), Part(nil, "http://pacs/dicom-web/x/1", pixels)]
        #expect(try await post(parts, to: RecordingReceiver(stored), path: "studies/1").status == 200)
        #expect(try await post(parts, to: RecordingReceiver(stored)).status == 409)
    }

    @Test("What is too large for memory goes through the spool, from part to data set")
    func spooling() async throws {
        let receiver = RecordingReceiver(stored)
        let large = ByteBuffer(bytes: (0..<60_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) })
        let parts =
            [Part.metadata("[\(image(1, uri: "small")),\(imageOfFrames(40))]"), Part(nil, "small", pixels)]
            + Array(repeating: Part("image/dicom-rle", "frames", large), count: 40)
        let (status, text, _) = try await post(parts, to: receiver)
        #expect(status == 200, "\(text)")
        let small = receiver.dataSets.withLockedValue { $0 }
        #expect(small.count == 1)
        let spooled = try #require(receiver.spooled.withLockedValue { $0 }.first)
        let read = try DataSetReader.read(spooled, transferSyntax: .rleLossless).dataSet
        guard case .fragments(let value) = read[.pixelData]?.value else {
            Issue.record("Pixel Data are not encapsulated")
            return
        }
        #expect(value.fragments == Array(repeating: large, count: 40))
        #expect(value.basicOffsetTable.readableBytes == 160)
    }

    private func imageOfFrames(_ count: Int) -> String {
        let frames = #""00280008":{"vr":"IS","Value":[\#(count)]},"7FE00010""#
        return image(9, uri: "frames").replacingOccurrences(of: "\"7FE00010\"", with: frames)
    }

    @Test("What an instance lacks is its own failure, with a reason; the others are stored")
    func failures() async throws {
        let receiver = RecordingReceiver(stored)
        let (status, _, model) = try await post(
            [
                .metadata(
                    "[\(image(1, uri: "a")),\(image(2, uri: "missing")),\(image(3, columns: 5, uri: "c")),{\"00280010\":{\"vr\":\"US\",\"Value\":[\"x\"]}}]"
                ),
                Part(nil, "a", pixels), Part(nil, "c", pixels), Part(nil, "nobody", pixels), Part(nil, nil, pixels),
            ],
            to: receiver
        )
        #expect(status == 202)
        #expect(uids(model, "00081199") == ["1.2.1"])
        #expect(uids(model, "00081198") == ["1.2.2", "1.2.3", nil, nil])
        #expect(reasons(model) == [0xC000, 0xC000, 0xC000, 0xC000])
        #expect(receiver.dataSets.withLockedValue { $0.count } == 1)
    }

    @Test("A failure of the store path is told with the UIDs")
    func storeFailures() async throws {
        let (status, _, model) = try await post(
            [.metadata("[\(image(1, uri: "a"))]"), Part(nil, "a", pixels)],
            to: RecordingReceiver { _ in failed(0xA900) }
        )
        #expect(status == 409)
        #expect(reasons(model) == [0xA900])
    }

    @Test("Limits are refused by name, and nothing is stored")
    func limits() async throws {
        let receiver = RecordingReceiver(stored)
        let parts = [Part.metadata("[\(image(1, uri: "a"))]"), Part(nil, "a", pixels)]
        var limits = DescribedStoreLimits()
        limits.metadataByteCount = 100
        let metadata = try await post(parts, to: receiver, limits: limits)
        #expect(metadata.status == 413 && metadata.text.contains("100 bytes"))
        limits = DescribedStoreLimits()
        limits.bulkDataByteCount = 3
        let bulk = try await post(parts, to: receiver, limits: limits)
        #expect(bulk.status == 413 && bulk.text.contains("3 bytes"))
        limits.bulkDataByteCount = 4
        #expect(try await post(parts, to: receiver, limits: limits).status == 200)
        #expect(receiver.dataSets.withLockedValue { $0.count } == 1)
    }

    @Test("Requests that are none")
    func refusals() async throws {
        let receiver = RecordingReceiver(stored)
        let metadata = Part.metadata("[\(image(1, uri: "a"))]")
        let bulk = Part(nil, "a", pixels)
        let xml = try await post([metadata, bulk], to: receiver, type: "application/dicom+xml")
        #expect(xml.status == 415 && xml.text.contains("XML"))
        #expect(try await post([bulk, metadata], to: receiver).status == 400)
        #expect(try await post([Part("text/plain", nil, metadata.bytes), bulk], to: receiver).status == 400)
        #expect(try await post([.metadata("[{"), bulk], to: receiver).status == 400)
        #expect(try await post([.metadata("no JSON"), bulk], to: receiver).status == 400)
        #expect(try await post([.metadata("[]")], to: receiver).status == 400)
        #expect(try await post([], to: receiver).status == 400)
        // Cut off: nothing is stored, as nothing is known to be whole.
        #expect(try await post([metadata, bulk], to: receiver, closes: false).status == 400)
        #expect(receiver.dataSets.withLockedValue { $0.isEmpty })
    }
}
