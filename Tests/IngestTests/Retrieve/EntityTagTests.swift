// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Hummingbird
import Ingest
import PixelCodecs
import Testing

@Suite("What a client has already is not read again")
struct EntityTagTests {
    private static let paths = [
        "studies/1.2.3", "studies/1.2.3/series/1.2.3.1", "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1",
        "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/frames/1,2", "studies/1.2.3/metadata",
        "studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/metadata",
    ]

    private func made(_ instance: Int, surplus: [UInt8] = []) throws -> MadeInstance {
        try MadeInstance.compressed(.init(name: "", frames: 2, surplus: surplus, instance: instance))
    }

    @Test("The tag answers before any record is read", arguments: paths)
    func notModified(path: String) async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            for instance in 1...3 { _ = client.archive.add(try made(instance)) }
            let first = try await client.get(path)
            let tag = try #require(first.headers[.eTag])
            #expect(first.status == 200)
            #expect(try await client.get(path).body == first.body)
            let before = client.archive.readByteCount
            let again = try await client.get(path, headers: [.ifNoneMatch: "W/\"x\", \(tag)"])
            #expect(again.status == 304 && again.body.readableBytes == 0 && again.headers[.eTag] == tag)
            #expect(client.archive.readByteCount == before)
            #expect(client.retrieve.memoryInUse == 0)
        }
    }

    @Test("Other members, other content and other software have other tags", arguments: paths)
    func changes(path: String) async throws {
        try await withCodecs { pool in
            var tags: Set<String> = []
            let archives: [[MadeInstance]] = [
                [try made(1)], [try made(1, surplus: [1, 2])], [try made(1), try made(2)],
            ]
            for archive in archives {
                let client = Client(pool)
                for one in archive { _ = client.archive.add(one) }
                tags.insert(try #require(try await client.get(path).headers[.eTag]))
            }
            let isOfOneInstance = path.contains("instances/")
            #expect(tags.count == (isOfOneInstance ? 2 : 3))
            let other = Client(pool, version: "2")
            _ = other.archive.add(try made(1))
            #expect(try await !tags.contains(#require(other.get(path).headers[.eTag])))
        }
    }

    @Test("An answer that is not all of it has no tag")
    func partial() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            _ = client.archive.add(try made(1))
            let deflated = TransferSyntax.deflatedExplicitVRLittleEndian
            let shape = MadeInstance.Shape(name: "", instance: 2)
            _ = client.archive.add(
                try MadeInstance.asReceived(shape, try MadeInstance.dataSet(shape, deflated), deflated)
            )
            let accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=\(deflated.uid)"
            let answer = try await client.get("studies/1.2.3", accept: accept)
            #expect(answer.status == 206 && answer.headers[.eTag] == nil)
            #expect(try answer.parts().count == 1)
        }
    }

    @Test("JSON that is streamed goes out in gzip, under a tag of its own")
    func gzip() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            for instance in 1...3 { _ = client.archive.add(try made(instance)) }
            let plain = try await client.get("studies/1.2.3/metadata")
            let zipped = try await client.get("studies/1.2.3/metadata", headers: [.acceptEncoding: "gzip"])
            #expect(zipped.headers[.contentEncoding] == "gzip" && plain.headers[.contentEncoding] == nil)
            #expect(Array(zipped.body.readableBytesView.prefix(3)) == [0x1F, 0x8B, 8])
            #expect(zipped.isFinished && zipped.body.readableBytes < plain.body.readableBytes)
            let tag = try #require(zipped.headers[.eTag])
            #expect(tag != plain.headers[.eTag])
            let headers: HTTPFields = [.acceptEncoding: "gzip", .ifNoneMatch: tag]
            #expect(try await client.get("studies/1.2.3/metadata", headers: headers).status == 304)
            #expect(try await client.get("studies/1.2.3/metadata", headers: [.ifNoneMatch: tag]).status == 200)
        }
    }
}
