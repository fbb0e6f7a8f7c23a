// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Testing

private let native = "1.2.840.10008.1.2.1"
private let jpegLS = "1.2.840.10008.1.2.4.80"
private let jpeg = "1.2.840.10008.1.2.4.50"

private func accepted(
    _ header: String?,
    _ offers: [Representation] = [.multipartDICOM, .singleDICOM]
) throws -> [AcceptedRepresentation] {
    try Negotiation.accepted(headers: header.map { [$0] } ?? [], offers: offers)
}

@Suite("Accept negotiation")
struct NegotiationTests {
    @Test(
        "The best representation and what it asks of the syntax",
        arguments: [
            (nil, Representation.multipartDICOM, [SyntaxDemand.Kind.unspecified]),
            ("", .multipartDICOM, [.unspecified]),
            ("*/*", .multipartDICOM, [.unspecified]),
            ("multipart/*", .multipartDICOM, [.unspecified]),
            ("multipart/related", .multipartDICOM, [.unspecified]),
            ("multipart/related; type=\"application/dicom\"", .multipartDICOM, [.unspecified]),
            ("multipart/related; type=application/dicom", .multipartDICOM, [.unspecified]),
            ("Multipart/Related; TYPE=\"Application/DICOM\"", .multipartDICOM, [.unspecified]),
            ("multipart/related; type=\"application/dicom\"; transfer-syntax=*", .multipartDICOM, [.asStored]),
            ("multipart/related;type=\"application/dicom\";transfer-syntax=\"*\"", .multipartDICOM, [.asStored]),
            ("multipart/related; type=\"application\\/dicom\" ;transfer-syntax = *", .multipartDICOM, [.asStored]),
            (
                "multipart/related; type=\"application/dicom\"; transfer-syntax=\(jpegLS)", .multipartDICOM,
                [.uid(jpegLS)]
            ),
            ("application/dicom", .singleDICOM, [.unspecified]),
            ("application/*", .singleDICOM, [.unspecified]),
            ("application/dicom; transfer-syntax=*", .singleDICOM, [.asStored]),
            ("multipart/related; type=\"application/dicom\";q=0.5, application/dicom", .singleDICOM, [.unspecified]),
            ("application/dicom;q=0.9, */*;q=0.1", .singleDICOM, [.unspecified]),
            ("application/dicom+xml, */*;q=0.1", .multipartDICOM, [.unspecified]),
            ("multipart/related;q=0, */*", .singleDICOM, [.unspecified]),
            ("multipart/related; type=\"image/jpeg\", application/dicom;q=0.001", .singleDICOM, [.unspecified]),
            (
                "multipart/related; type=\"application/dicom\"; transfer-syntax=\(jpeg);q=0.5, "
                    + "multipart/related; type=\"application/dicom\"; transfer-syntax=\(jpegLS);q=0.7,"
                    + "multipart/related; type=\"application/dicom\";q=0.5",
                .multipartDICOM, [.uid(jpegLS), .uid(jpeg), .unspecified]
            ),
        ] as [(String?, Representation, [SyntaxDemand.Kind])]
    )
    func best(header: String?, representation: Representation, syntaxes: [SyntaxDemand.Kind]) throws {
        let best = try #require(try accepted(header).first)
        #expect(best.representation == representation)
        #expect(best.syntaxes.map(\.kind) == syntaxes)
    }

    @Test(
        "What can't be sent is 406 and says what can",
        arguments: [
            "text/html", "image/jpeg", "multipart/related; type=\"application/dicom+xml\"", "multipart/mixed",
            "multipart/related;q=0, application/dicom;q=0", "*/*;q=0", "application/zip",
            "multipart/related; type=\"application/octet-stream\"",
        ]
    )
    func notAcceptable(header: String) {
        let error = #expect(throws: DICOMWebError.self) { try accepted(header) }
        #expect(error?.status == 406)
        #expect(error?.message.contains("multipart/related; type=\"application/dicom\"") == true)
    }

    @Test(
        "A malformed header is 400",
        arguments: [
            "multipart", "multipart/", "/related", "a/b c/d", "a/b;q=2", "a/b;q=0.1234", "a/b;x=\"y", "*/dicom",
        ]
    )
    func malformed(header: String) {
        let error = #expect(throws: DICOMWebError.self) { try accepted(header) }
        #expect(error?.status == 400)
    }

    @Test("Metadata and searches are JSON")
    func json() throws {
        for header in [nil, "*/*", "application/dicom+json", "application/json", "application/json; charset=utf-8"] {
            #expect(try accepted(header, [.dicomJSON]).first?.representation == .dicomJSON)
        }
        #expect(throws: DICOMWebError.self) {
            try accepted("multipart/related; type=\"application/dicom+xml\"", [.dicomJSON])
        }
    }

    @Test("Bulk data negotiates among octet streams")
    func bulkData() throws {
        let offers = [Representation.multipartOctetStream, .singleOctetStream]
        #expect(try accepted("application/octet-stream", offers).first?.representation == .singleOctetStream)
        #expect(
            try accepted("multipart/related; type=\"application/octet-stream\"", offers).first?.representation
                == .multipartOctetStream
        )
    }

    @Test("Several headers count as one list, and the accept parameter stands for them")
    func sources() throws {
        let both = try Negotiation.accepted(
            headers: ["text/html", "application/dicom"],
            offers: [.multipartDICOM, .singleDICOM]
        )
        #expect(both.map(\.representation) == [.singleDICOM])
        let parameter = try Negotiation.accepted(
            headers: ["text/html"],
            parameter: "application/dicom",
            offers: [.multipartDICOM, .singleDICOM]
        )
        #expect(parameter.map(\.representation) == [.singleDICOM])
    }

    @Test("All that is accepted is there, best first")
    func order() throws {
        let all = try accepted("application/dicom;q=0.2, multipart/related;q=0.8")
        #expect(all.map(\.representation) == [.multipartDICOM, .singleDICOM])
        #expect(all.map(\.quality) == [800, 200])
    }

    @Test(
        "The syntax for one instance",
        arguments: [
            ("*/*", native, true, SyntaxChoice.stored),
            ("*/*", jpegLS, true, .converted(native)),
            ("*/*", jpeg, false, .stored),
            ("application/dicom;transfer-syntax=*", jpeg, false, .stored),
            ("application/dicom;transfer-syntax=*", jpegLS, true, .stored),
            ("application/dicom;transfer-syntax=\(jpegLS)", jpegLS, true, .stored),
            ("application/dicom;transfer-syntax=\(native)", jpegLS, true, .converted(native)),
            ("application/dicom;transfer-syntax=\(native)", jpeg, false, nil),
            ("application/dicom;transfer-syntax=\(jpeg)", jpegLS, true, nil),
            (
                "application/dicom;transfer-syntax=\(jpeg), application/dicom;transfer-syntax=\(native);q=0.5", jpegLS,
                true, .converted(native)
            ),
            (
                "application/dicom;transfer-syntax=\(native), application/dicom;transfer-syntax=\(jpegLS)", jpegLS,
                true, .stored
            ),
            (
                "application/dicom;transfer-syntax=*, application/dicom;transfer-syntax=\(jpeg);q=0", jpeg, false, nil
            ),
        ] as [(String, String, Bool, SyntaxChoice?)]
    )
    func choice(header: String, stored: String, canDecode: Bool, expected: SyntaxChoice?) throws {
        let best = try #require(try accepted(header).first)
        #expect(best.choice(stored: stored) { canDecode && $0 == native } == expected)
    }

    @Test("Media types print so that they read back")
    func mediaTypes() throws {
        let text = "multipart/related;type=\"application/dicom\";boundary=\"a \\\"b\\\\\""
        let type = try MediaType(parsing: text)
        #expect(type.parameter("boundary") == "a \"b\\")
        #expect(type.description == text)
        #expect(try MediaType(parsing: type.description) == type)
        #expect(try MediaType(parsing: "text/plain;;").parameters.isEmpty)
        #expect(throws: DICOMWebError.self) { try MediaType(parsing: "a/b, c/d") }
        #expect(throws: DICOMWebError.self) { try MediaType(parsing: "") }
    }

    @Test("Any header gives an answer")
    func mutations() {
        var random = SeededGenerator.fromEnvironment()
        let seed = "multipart/related; type=\"application/dicom\"; transfer-syntax=*;q=0.5, application/dicom+json, */*"
        for _ in 0..<5000 {
            let header = String(decoding: random.mutate(Array(seed.utf8)), as: UTF8.self)
            if let all = try? accepted(header) {
                #expect(!all.isEmpty && all.allSatisfy { (1...1000).contains($0.quality) && !$0.syntaxes.isEmpty })
            }
        }
    }

    @Test("quotes and backslashes are escaped, also before a combining accent", arguments: ["\"", "\\"])
    func escapes(mark: String) throws {
        let type = MediaType("image", "jpeg", [.init(name: "q", value: "a\(mark)\u{592}b\(mark)")])
        #expect(try MediaType(parsing: type.description) == type)
    }
}
