// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import NIOCore
import Testing

private struct Part: Equatable {
    var headers: [MultipartReader.Header]
    var body: [UInt8]
}

private struct Outcome: Equatable {
    var parts: [Part] = []
    var isEnded = false
}

/// Feeds `bytes` in pieces that end at `cuts` and collects what comes out.
private func read(_ reader: MultipartReader, _ bytes: [UInt8], cuts: [Int] = []) throws -> Outcome {
    var reader = reader
    var outcome = Outcome()
    var start = 0
    for cut in cuts + [bytes.count] {
        reader.append(ByteBuffer(bytes: bytes[start..<cut]))
        start = cut
        while let event = try reader.next() {
            switch event {
            case .partBegins(let headers): outcome.parts.append(Part(headers: headers, body: []))
            case .bytes(let buffer): outcome.parts[outcome.parts.count - 1].body += Array(buffer.readableBytesView)
            case .partEnds: break
            case .end: outcome.isEnded = true
            }
        }
    }
    try reader.finish()
    return outcome
}

private func reader(_ boundary: String = "b", limits: MultipartReader.Limits = .init()) throws -> MultipartReader {
    MultipartReader(boundary: try #require(MultipartBoundary(boundary)), limits: limits)
}

private func bodies(_ text: String) throws -> [String] {
    try read(reader(), Array(text.utf8)).parts.map { String(decoding: $0.body, as: UTF8.self) }
}

@Suite("Multipart bodies")
struct MultipartTests {
    @Test("What is written is read back, cut anywhere")
    func roundTrip() throws {
        var random = SeededGenerator.fromEnvironment()
        let boundary = MultipartBoundary(using: &random)
        var writer = MultipartWriter(boundary: boundary, partType: "application/dicom")
        // Bodies full of what looks like a delimiter.
        let contents: [[UInt8]] = [
            [], Array("\r\n".utf8), Array("\r\n--".utf8), Array("x--\(boundary.text)".utf8),
            Array("\r\r\n-\r\n--\(boundary.text.dropLast())".utf8), (0..<300).map { [13, 10, 45, 118][$0 % 4] },
        ]
        var bytes: [UInt8] = []
        for content in contents {
            let head = writer.head(transferSyntax: "1.2", location: "http://x/1", byteCount: content.count)
            bytes += Array(head.readableBytesView) + content
        }
        bytes += Array(writer.end().readableBytesView)
        let reader = try MultipartReader(contentType: MediaType(parsing: writer.contentType))
        let whole = try read(reader, bytes)
        #expect(whole.isEnded)
        #expect(whole.parts.map(\.body) == contents)
        #expect(
            whole.parts[1].headers == [
                .init(name: "content-type", value: "application/dicom; transfer-syntax=1.2"),
                .init(name: "content-length", value: "2"), .init(name: "content-location", value: "http://x/1"),
            ]
        )
        for cut in 0...bytes.count {
            #expect(try read(reader, bytes, cuts: [cut]) == whole, "cut at \(cut)")
        }
        #expect(try read(reader, bytes, cuts: Array(0..<bytes.count)) == whole)
        for count in 0..<(bytes.count - 4) {
            #expect(throws: DICOMWebError.self) { try read(reader, Array(bytes[..<count])) }
        }
    }

    @Test("A body without parts is a closing delimiter")
    func noParts() throws {
        var random = SeededGenerator.fromEnvironment()
        let writer = MultipartWriter(boundary: MultipartBoundary(using: &random), partType: "application/dicom")
        let reader = try MultipartReader(contentType: MediaType(parsing: writer.contentType))
        let outcome = try read(reader, Array(writer.end().readableBytesView))
        #expect(outcome == Outcome(parts: [], isEnded: true))
    }

    @Test(
        "Bodies as others write them",
        arguments: [
            ("--b\r\nA: 1\r\n\r\nx\r\n--b--", ["x"]),
            ("preamble\r\n--b\r\nA: 1\r\n\r\nx\r\n--b--\r\nepilogue", ["x"]),
            ("\r\n--b\r\n\r\nx\r\n--b--", ["x"]),
            ("--b \t\r\nA: 1\r\n\r\nx\r\n--b--", ["x"]),
            ("--b\nA: 1\n\nx\r\n--b--", ["x"]),
            ("--b\r\nA: 1\r\n\r\n--b--", [""]),
            ("--b\r\n\r\n--b\r\n\r\n\r\n--b--", ["", ""]),
            ("--b\r\n\r\n--bx\r\n--b--", nil),
            ("--b\r\nA:\r\n\r\nx--b\r\n--b--", ["x--b"]),
            ("--b\r\nno colon\r\n\r\nx\r\n--b--", nil),
            ("--bb\r\n\r\nx\r\n--b--", nil),
            ("--b\r\n\r\nx\r\n--b", nil),
            ("x--b\r\n\r\nx\r\n--c--", nil),
            ("", nil),
        ] as [(String, [String]?)]
    )
    func others(body: String, expected: [String]?) throws {
        if let expected {
            #expect(try bodies(body) == expected)
        } else {
            #expect(throws: DICOMWebError.self) { try bodies(body) }
        }
    }

    @Test("Headers, preambles and parts have limits")
    func limits() throws {
        var limits = MultipartReader.Limits()
        limits.maximumHeaderByteCount = 64
        limits.maximumPartCount = 2
        let long = String(repeating: "x", count: 100)
        for body in ["--b\r\nA: \(long)\r\n\r\nx\r\n--b--", "--b\r\nA: \(long)", long, "--b" + long] {
            let error = #expect(throws: DICOMWebError.self) { try read(reader(limits: limits), Array(body.utf8)) }
            #expect(error?.status == 400)
        }
        let three = "--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b\r\n\r\n3\r\n--b--"
        let error = #expect(throws: DICOMWebError.self) { try read(reader(limits: limits), Array(three.utf8)) }
        #expect(error?.status == 413)
    }

    @Test("The Content-Type has to be multipart/related with a boundary")
    func contentTypes() throws {
        func status(_ text: String) throws -> Int? {
            do {
                _ = try MultipartReader(contentType: MediaType(parsing: text))
                return nil
            } catch { return error.status }
        }
        #expect(try status("multipart/related; boundary=x") == nil)
        #expect(try status("multipart/related; boundary=\"a b\"") == nil)
        #expect(try status("multipart/mixed; boundary=x") == 415)
        #expect(try status("application/dicom") == 415)
        #expect(try status("multipart/related") == 400)
        #expect(try status("multipart/related; boundary=\"\"") == 400)
        #expect(try status("multipart/related; boundary=\"a\\\"\"") == 400)
        // RFC 2046 allows 70 characters, and Orthanc sends 73.
        #expect(try status("multipart/related; boundary=" + String(repeating: "x", count: 73)) == nil)
        #expect(try status("multipart/related; boundary=" + String(repeating: "x", count: 201)) == 400)
    }

    @Test("Any bytes give events or an error, the same however they are cut")
    func mutations() throws {
        var random = SeededGenerator.fromEnvironment()
        let seed = Array("pre\r\n--b\r\nA: 1\r\nB: 2\r\n\r\nx\r\ny\r\n--b\r\n\r\n\r\n--b--\r\n".utf8)
        for _ in 0..<3000 {
            let bytes = random.mutate(seed)
            let whole = try? read(reader(), bytes)
            let cut = Int.random(in: 0...bytes.count, using: &random)
            #expect((try? read(reader(), bytes, cuts: [cut])) == whole)
            #expect((try? read(reader(), bytes, cuts: Array(0..<bytes.count))) == whole)
        }
    }
}
