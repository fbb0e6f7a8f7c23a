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

@Suite("Storing over HTTP")
struct StoreInstancesTests {
    private static let multipart = "multipart/related; type=\"application/dicom\"; boundary=b"

    private func post(
        _ parts: [ByteBuffer],
        to receiver: RecordingReceiver?,
        path: String = "studies",
        type: String = multipart,
        closes: Bool = true
    ) async throws -> (status: Int, model: [String: Any]) {
        try await withCodecs { pool in
            let archive = MemoryArchive()
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let retrieve = RetrieveService(directory: archive, records: archive, codecs: pool, logger: logger)
            let service = DICOMWebService(retrieve: retrieve, receiver: receiver, logger: logger)
            let boundary = try #require(MultipartBoundary("b"))
            var writer = MultipartWriter(boundary: boundary, partType: "application/dicom")
            var body = ByteBuffer()
            for part in parts {
                body.writeImmutableBuffer(writer.head())
                body.writeImmutableBuffer(part)
            }
            if closes { body.writeImmutableBuffer(writer.end()) }
            var head = HTTPRequest(method: .post, scheme: "http", authority: "pacs", path: "/dicom-web/" + path)
            head.headerFields[.contentType] = type
            let response = await service.answer(Request(head: head, body: RequestBody(buffer: body)))
            let collector = CollectingWriter()
            try await response.body.write(collector)
            let data = Data(collector.bytes.withLockedValue { $0 }.readableBytesView)
            let model = try JSONSerialization.jsonObject(with: data) as? [String: Any]
            return (Int(response.status.code), model ?? [:])
        }
    }

    private func items(_ model: [String: Any], _ tag: String) -> [[String: [String: Any]]] {
        (model[tag] as? [String: Any])?["Value"] as? [[String: [String: Any]]] ?? []
    }

    @Test("Each part is stored as it came and answered for")
    func all() async throws {
        let receiver = RecordingReceiver(stored)
        let parts = [ByteBuffer(string: "one\r\n"), ByteBuffer(repeating: 13, count: 70_000)]
        let (status, model) = try await post(parts, to: receiver)
        #expect(status == 200)
        #expect(receiver.files.withLockedValue { $0 } == parts)
        #expect(items(model, "00081199").map { $0["00081155"]?["Value"] as? [String] } == [["1.2.1"], ["1.2.2"]])
        #expect(
            items(model, "00081199").first?["00081190"]?["Value"] as? [String]
                == ["http://pacs/dicom-web/studies/1/series/1.1/instances/1.2.1"]
        )
        #expect(model["00081198"] == nil)
        #expect((model["00081190"] as? [String: Any])?["Value"] as? [String] == ["http://pacs/dicom-web/studies/1"])
    }

    @Test("Some or all failed")
    func failures() async throws {
        let parts = [ByteBuffer(string: "1"), ByteBuffer(string: "2")]
        let some = try await post(parts, to: RecordingReceiver { $0 == 1 ? stored(1) : failed(0xC000) })
        #expect(some.status == 202)
        #expect(items(some.model, "00081198").map { $0["00081197"]?["Value"] as? [Int] } == [[0xC000]])
        #expect(items(some.model, "00081199").count == 1)
        let none = try await post(parts, to: RecordingReceiver { _ in failed(0xC000) })
        #expect(none.status == 409)
        #expect(none.model["00081199"] == nil)
        #expect(try await post(parts, to: RecordingReceiver { _ in failed(0xA700) }).status == 503)
    }

    @Test("Stored with a warning")
    func warnings() async throws {
        let parts = [ByteBuffer(string: "1"), ByteBuffer(string: "2")]
        let (status, model) = try await post(
            parts,
            to: RecordingReceiver { number in
                var outcome = stored(number)
                if number == 1 { outcome.result = .storedWithWarning(0xB007) }
                return outcome
            }
        )
        #expect(status == 202)
        #expect(model["00081198"] == nil)
        let found = items(model, "00081199")
        #expect(found.map { $0["00081196"]?["Value"] as? [Int] } == [[0xB007], nil])
        #expect(found.first?["00081196"]?["vr"] as? String == "US")
    }

    /// A Part 10 stream with `byteCount` bytes behind its file meta information.
    private func file(_ byteCount: Int) throws -> (file: ByteBuffer, dataSet: ByteBuffer) {
        let dataSet = ByteBuffer(bytes: (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 3) })
        var elements = DataSet(encoding: .explicitLittleEndian)
        elements.set(.transferSyntaxUID, .ui, TransferSyntax.explicitVRLittleEndian.uid.string)
        var file = try Part10.write(FileMeta(elements: elements))
        file.writeImmutableBuffer(dataSet)
        return (file, dataSet)
    }

    @Test("A part too large for memory goes through the spool, without its file meta information")
    func spooling() async throws {
        let (large, dataSet) = try file(3_000_000)
        let small = ByteBuffer(repeating: 1, count: 100_000)
        let receiver = RecordingReceiver(stored)
        let (status, model) = try await post([small, large, small], to: receiver)
        #expect(status == 200)
        #expect(receiver.files.withLockedValue { $0 } == [small, small])
        #expect(receiver.spooled.withLockedValue { $0 } == [dataSet])
        #expect(items(model, "00081199").count == 3)
    }

    @Test("A part that is no DICOM file, or over the limit, is refused; others are not")
    func refusedParts() async throws {
        let receiver = RecordingReceiver(stored)
        let parts = [ByteBuffer(repeating: 0x78, count: 300_000), try file(6_000_000).file, ByteBuffer(string: "1")]
        let (status, model) = try await post(parts, to: receiver)
        #expect(status == 202)
        #expect(items(model, "00081198").map { $0["00081197"]?["Value"] as? [Int] } == [[0xC000], [0xA700]])
        #expect(receiver.files.withLockedValue { $0 }.count == 1)
        #expect(receiver.spooled.withLockedValue { $0 }.isEmpty)
    }

    @Test("A body that is cut in the spool is refused, and what reads the spool is told")
    func cut() async throws {
        let receiver = RecordingReceiver(stored)
        #expect(try await post([try file(3_000_000).file], to: receiver, closes: false).status == 400)
        #expect(receiver.spooled.withLockedValue { $0 }.isEmpty)
    }

    @Test("Requests that are none")
    func refusals() async throws {
        let receiver = RecordingReceiver(stored)
        let one = [ByteBuffer(string: "1")]
        #expect(try await post(one, to: receiver, path: "series").status == 404)
        #expect(try await post(one, to: receiver, path: "studies/1/metadata").status == 404)
        #expect(try await post(one, to: receiver, type: "application/dicom").status == 415)
        #expect(
            try await post(one, to: receiver, type: "multipart/related; type=\"image/png\"; boundary=b").status == 415
        )
        #expect(try await post(one, to: receiver, type: "multipart/related").status == 400)
        #expect(try await post(one, to: receiver, type: "").status == 400)
        #expect(try await post([], to: receiver).status == 400)
        #expect(try await post(one, to: nil).status == 404)
        #expect(receiver.files.withLockedValue { $0 }.isEmpty)
        // Cut off: what came before is stored and may be sent again; the request is refused.
        #expect(try await post(one, to: receiver, closes: false).status == 400)
    }
}
