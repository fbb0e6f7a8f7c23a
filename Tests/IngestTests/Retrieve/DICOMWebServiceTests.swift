// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import DICOMWeb
import Foundation
import Hummingbird
import Ingest
import Logging
import NIOConcurrencyHelpers
import NIOCore
import PixelCodecs
import SegmentFormat
import Testing

private let multipart = "multipart/related; type=\"application/dicom\""

@Suite("DICOMweb over HTTP")
struct DICOMWebServiceTests {
    private func dataSet(of file: ByteBuffer) throws -> ByteBuffer {
        let offset = try Part10.readHeader(file).dataSetOffset
        return try #require(file.getSlice(at: file.readerIndex + offset, length: file.readableBytes - offset))
    }

    @Test("A study comes back instance by instance, native or as stored", arguments: [32 << 20, 1])
    func study(wholeByteCount: Int) async throws {
        try await withCodecs { pool in
            let client = Client(pool) {
                $0.wholeByteCount = wholeByteCount
                $0.memoryByteCount = 20_000
            }
            let made = try (1...9).map {
                try MadeInstance.compressed(.init(name: "", frames: 2, instance: $0, series: $0 % 2 + 1))
            }
            for one in made { _ = client.archive.add(one) }
            let natives = try await client.get("studies/1.2.3")
            #expect(natives.status == 200 && natives.isFinished)
            #expect(try natives.parts().map(\.syntax) == Array(repeating: "1.2.840.10008.1.2.1", count: 9))
            #expect(try natives.parts().map { try dataSet(of: $0.bytes) } == made.map(\.dataSet))
            let stored = try await client.get("studies/1.2.3", accept: multipart + "; transfer-syntax=*")
            #expect(try stored.parts().map(\.bytes) == made.map(\.payload))
            #expect(try stored.parts()[0].syntax == "1.2.840.10008.1.2.4.80")
            let series = try await client.get("studies/1.2.3/series/1.2.3.1", accept: "*/*")
            #expect(try series.parts().count == 4)
            let instance = try await client.get("studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2")
            #expect(try instance.parts().map { try dataSet(of: $0.bytes) } == [made[1].dataSet])
            #expect(instance.headers[.contentLength] != nil)
            #expect(client.retrieve.memoryInUse == 0)
        }
    }

    @Test("A single instance is the body when asked so")
    func single() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            let made = try MadeInstance.compressed(.init(name: ""))
            _ = client.archive.add(made)
            let path = "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"
            let answer = try await client.get(path, accept: "application/dicom")
            #expect(answer.contentType == "application/dicom;transfer-syntax=1.2.840.10008.1.2.1")
            #expect(try dataSet(of: answer.body) == made.dataSet)
            let byQuery = try await client.get(
                path + "?accept=application/dicom;transfer-syntax=*",
                accept: "text/html"
            )
            #expect(byQuery.body == made.payload)
            #expect(try await client.get("studies/1.2.3", accept: "application/dicom").status == 406)
        }
    }

    @Test("An instance that can't be sent as asked is left out with a warning, or is the refusal")
    func partial() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            let shape = MadeInstance.Shape(name: "", instance: 2)
            _ = client.archive.add(try MadeInstance.compressed(.init(name: "")))
            let video = try #require(TransferSyntax.known("1.2.840.10008.1.2.4.102"))
            let header = try DataSetWriter.write(MadeInstance.header(shape), transferSyntax: video)
            let (received, _) = MadeInstance.encapsulate([ByteBuffer(repeating: 1, count: 20)], into: header)
            _ = client.archive.add(try MadeInstance.asReceived(shape, received, video))
            let explicit = multipart + "; transfer-syntax=1.2.840.10008.1.2.1"
            let study = try await client.get("studies/1.2.3", accept: explicit)
            #expect(study.status == 206)
            #expect(study.headers.contains { $0.name.canonicalName == "warning" })
            #expect(try study.parts().count == 1)
            let path = "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2"
            let refused = try await client.get(path, accept: explicit)
            #expect(refused.status == 406)
            #expect(refused.text.contains("transfer-syntax=*"))
            // Without a syntax in the Accept, what can't be decoded comes as it is, and says so.
            let anything = try await client.get("studies/1.2.3")
            #expect(try anything.parts().map(\.syntax) == ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.102"])
        }
    }

    @Test("A body whose later instance is damaged is broken off, never ended as if it were whole")
    func brokenOff() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            for number in 1...3 {
                let instance = client.archive.add(try MadeInstance.compressed(.init(name: "", instance: number)))
                guard number == 3 else { continue }
                for node in MemoryArchive.nodes {
                    client.archive.damage(instance, on: node) {
                        $0.metadata.receivedDigest = .init(words: (0, 0, 0, 0))
                    }
                }
            }
            let study = try await client.get("studies/1.2.3")
            #expect(study.status == 200 && !study.isFinished)
            let path = "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.3"
            #expect(try await client.get(path).status == 500)
            #expect(client.retrieve.memoryInUse == 0)
        }
    }

    @Test("Metadata are all elements but the pixels, big values by reference")
    func metadata() async throws {
        try await withCodecs { pool in
            let client = Client(pool, publicURL: "https://pacs.example.org/dicom-web/")
            for number in 1...40 {
                _ = client.archive.add(
                    try MadeInstance.compressed(
                        .init(name: "", samples: 3, bitsAllocated: 8, isPlanar: true, hasTail: true, instance: number)
                    )
                )
            }
            let answer = try await client.get("studies/1.2.3/metadata")
            #expect(answer.contentType == "application/dicom+json")
            let models: [[String: [String: Any]]] = try answer.json()
            #expect(models.count == 40)
            #expect(models.map { ($0["00080018"]?["Value"] as? [String])?.first } == (1...40).map { "1.2.3.1.\($0)" })
            let model = try #require(models.first)
            #expect(model["7FE00010"]?["BulkDataURI"] != nil && model["7FE00010"]?["InlineBinary"] == nil)
            #expect(model["00020010"] == nil)
            #expect(model["FFFCFFFC"] != nil)
            // As it was received, not as it is stored.
            #expect(model["00280006"]?["Value"] as? [Int] == [1])
            let uri = try #require(model["00091001"]?["BulkDataURI"] as? String)
            let root = "https://pacs.example.org/dicom-web/"
            #expect(uri.hasPrefix(root + "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/bulkdata/"))
            let path = String(uri.dropFirst(root.count))
            let bulk = try await client.get(path, accept: "application/octet-stream")
            #expect(bulk.body == ByteBuffer(repeating: 7, count: 2000))
            #expect(try await client.get(path).parts().map(\.bytes) == [bulk.body])
            #expect(try await client.get(path + "9").status == 404)
            #expect(try await client.get("studies/1.2.3/metadata", accept: "text/html").status == 406)
            // Headers only: far less than the payloads is read.
            #expect(client.retrieve.memoryInUse == 0)
        }
    }

    @Test("Metadata of what is stored as received, whatever its syntax")
    func metadataOfReceived() async throws {
        try await withCodecs { pool in
            for syntax in [
                TransferSyntax.implicitVRLittleEndian, .explicitVRBigEndian, .deflatedExplicitVRLittleEndian,
            ] {
                let client = Client(pool)
                let shape = MadeInstance.Shape(name: "", hasTail: true)
                let received = try MadeInstance.dataSet(shape, syntax)
                _ = client.archive.add(try MadeInstance.asReceived(shape, received, syntax))
                let models: [[String: [String: Any]]] = try await client.get("studies/1.2.3/metadata").json()
                #expect(models.first?["00280010"]?["Value"] as? [Int] == [16])
                // Of a deflated data set it can't be had by itself.
                #expect((models.first?["7FE00010"] == nil) == syntax.isDeflated)
            }
        }
    }

    @Test("Searches give what the catalog finds")
    func search() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            #expect(try await client.get("studies?PatientID=1").status == 204)
            client.archive.setResults(
                (1...7).map {
                    SearchResult(
                        study: "1.2.\($0)",
                        attributes: [.studyInstanceUID: .strings(["1.2.\($0)"]), .patientName: .personNames(["A^B"])]
                    )
                }
            )
            let answer = try await client.get("studies?PatientID=1&limit=3&offset=1&fuzzymatching=true")
            #expect(answer.status == 200)
            #expect(answer.contentType == "application/dicom+json")
            let models: [[String: [String: Any]]] = try answer.json()
            #expect(models.map { ($0["0020000D"]?["Value"] as? [String])?.first } == ["1.2.2", "1.2.3", "1.2.4"])
            #expect(models[0]["00081190"]?["Value"] as? [String] == ["http://pacs:8042/dicom-web/studies/1.2.2"])
            #expect(models[0]["00100020"]?["vr"] as? String == "LO")
            let warnings = answer.headers.filter { $0.name.canonicalName == "warning" }.map(\.value)
            #expect(warnings.count == 1 && warnings.allSatisfy { $0.hasPrefix("299 ") })
            #expect(client.archive.lastSearch?.limit == 3)
            #expect(client.archive.lastSearch?.request.isFuzzy == true)
            #expect(client.archive.lastSearch?.request.matches == [QIDOMatch(.patientID, .single("1"))])
            let all = try await client.get("studies")
            #expect(!all.headers.contains { $0.name.canonicalName == "warning" })
            #expect(try await client.get("studies?limit=0").status == 204)
        }
    }

    @Test(
        "Refusals say what is wrong",
        arguments: [
            ("studies?Nope=1", nil, 400), ("studies?PatientName=%zz", nil, 400), ("studies/x", nil, 400),
            ("nothing/here", nil, 404), ("studies/../../etc/passwd", nil, 404), ("studies/9.9", nil, 404),
            ("studies/9.9/metadata", nil, 404), ("studies", "text/html", 406), ("studies", "a/b/c", 400),
            ("studies/1.2.3/rendered", "text/html", 406),
        ] as [(String, String?, Int)]
    )
    func refusals(path: String, accept: String?, status: Int) async throws {
        try await withCodecs { pool in
            let answer = try await Client(pool).get(path, accept: accept)
            #expect(answer.status == status)
            let body: [String: Any] = try answer.json()
            #expect(body["status"] as? Int == status)
            #expect((body["message"] as? String)?.isEmpty == false)
        }
    }

    @Test("Without the catalog the answer is 503")
    func unavailable() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            client.archive.fail(with: RetrieveFailure(.unavailable, "the catalog does not answer"))
            for path in ["studies", "studies/1.2.3", "studies/1.2.3/metadata"] {
                let answer = try await client.get(path)
                #expect(answer.status == 503)
                #expect(answer.headers[.retryAfter] != nil)
            }
        }
    }
}
