// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOMWeb
import Foundation
import Hummingbird
import Ingest
import NIOCore
import PixelCodecs
import Testing

@Suite("Searches go on by their links")
struct SearchPagingTests {
    private func results(_ count: Int) -> [SearchResult] {
        (1...count).map {
            SearchResult(study: "1.2.\($0)", attributes: [.studyInstanceUID: .strings(["1.2.\($0)"])])
        }
    }

    /// What is between the brackets, below the service's path; nil without a link.
    private func next(_ answer: Answer) throws -> String? {
        guard let link = answer.headers.first(where: { $0.name.canonicalName == "link" })?.value else { return nil }
        let parts = link.split(separator: ">")
        #expect(parts.last == "; rel=\"next\"")
        let stem = "<http://pacs:8042/dicom-web/"
        try #require(parts.first?.hasPrefix(stem) == true)
        return parts.first.map { String($0.dropFirst(stem.count)) }
    }

    private func studies(_ answer: Answer) throws -> [String] {
        let models: [[String: [String: Any]]] = try answer.json()
        return models.compactMap { ($0["0020000D"]?["Value"] as? [String])?.first }
    }

    @Test("Following the links gives every result once, with the keys of the first request")
    func walk() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            client.archive.setResults(results(7))
            var path: String? = "studies?PatientName=%C3%84b%20c*&limit=3&includefield=all"
            var found: [[String]] = []
            while let one = path {
                let answer = try await client.get(one)
                #expect(answer.status == 200, "\(answer.text)")
                found.append(try studies(answer))
                #expect(client.archive.lastSearch?.request.matches == [QIDOMatch(.patientName, .wildcard("Äb c*"))])
                #expect(client.archive.lastSearch?.limit == 3)
                path = try next(answer)
                #expect(answer.headers.contains { $0.name.canonicalName == "warning" } == (path != nil))
            }
            #expect(found.map(\.count) == [3, 3, 1])
            #expect(found.flatMap { $0 } == (1...7).map { "1.2.\($0)" })
        }
    }

    @Test("An offset is left behind with the first page; limit 0 has no next page")
    func offset() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            client.archive.setResults(results(7))
            let first = try await client.get("studies?limit=2&offset=3")
            #expect(try studies(first) == ["1.2.4", "1.2.5"])
            // The archive of these tests counts from the beginning whatever the offset was.
            let link = try #require(try next(first))
            #expect(!link.contains("offset") && link.contains("limit=2"))
            #expect(try await client.get(link + "&offset=1").status == 400)
            #expect(try next(try await client.get("studies?limit=0")) == nil)
            #expect(try next(try await client.get("studies?limit=7")) == nil)
        }
    }

    @Test("A cursor is good for its own search only, and whole")
    func strictness() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            client.archive.setResults(results(7))
            let link = try #require(try next(try await client.get("studies?limit=2&PatientID=A")))
            let cursor = try #require(link.split(separator: "=").last.map(String.init))
            let good = [
                "studies?PatientID=A", "studies?PatientID=A&limit=1",
                "studies?includefield=all&PatientID=A&fuzzymatching=false",
            ]
            for path in good {
                #expect(try await client.get("\(path)&cursor=\(cursor)").status == 200, "\(path)")
            }
            let bad = [
                "studies?PatientID=B", "studies?PatientID=A*", "studies?PatientID=A&fuzzymatching=true",
                "studies?limit=2",
                "series?PatientID=A", "instances?PatientID=A", "studies/1.2/series?PatientID=A",
                "studies?PatientID=A&StudyDate=20200101",
            ]
            for path in bad {
                let answer = try await client.get("\(path)&cursor=\(cursor)")
                #expect(answer.status == 400 && answer.text.contains("cursor"), "\(path)")
            }
            let broken = [
                "", "x", ".", "\(cursor)1", String(cursor.dropLast()), String(cursor.dropFirst()),
                "\(cursor)&cursor=\(cursor)", "0000000000000000.3",
            ]
            for text in broken {
                let answer = try await client.get("studies?PatientID=A&cursor=\(text)")
                #expect(answer.status == 400 && answer.text.contains("cursor"), "\(text)")
            }
        }
    }

    @Test("The link is the resource that was searched")
    func resources() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            client.archive.setResults(results(3))
            for path in [
                "studies", "series", "instances", "studies/1.2/series", "studies/1.2/instances",
                "studies/1.2/series/1.3/instances",
            ] {
                let link = try #require(try next(try await client.get(path + "?limit=1")))
                #expect(link.hasPrefix(path + "?limit=1&cursor="), "\(link)")
                #expect(try await client.get(link).status == 200)
            }
        }
    }

    @Test("HEAD says as much of the length as is known")
    func heads() async throws {
        try await withCodecs { pool in
            let client = Client(pool)
            client.archive.setResults(results(3))
            let whole = try await client.get("studies")
            let head = try await client.get("studies", method: .head)
            #expect(head.headers[.contentLength] == "\(whole.body.readableBytes)")
        }
    }
}
