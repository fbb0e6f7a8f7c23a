// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import FuzzHarness
import NIOCore

/// What an HTTP client sends: paths, queries, Accept headers, multipart bodies.
///
/// Input: one byte for which of these and for the byte count of a body's pieces, then its text.
enum WebFuzz {
    static let target = FuzzTarget("web", maximumByteCount: 1_024, seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let selector = bytes.takeByte()
        switch selector & 3 {
        case 0: self.multipart(bytes, pieceByteCount: Int(selector >> 2) + 1)
        case 1: self.query(String(buffer: bytes))
        case 2: self.accept(String(buffer: bytes))
        default: self.path(String(buffer: bytes))
        }
    }

    private static func multipart(_ body: ByteBuffer, pieceByteCount: Int) {
        let whole = self.events(body, pieceByteCount: body.readableBytes)
        let pieces = self.events(body, pieceByteCount: pieceByteCount)
        FuzzTarget.check(whole == pieces, "in pieces the body says something else")
    }

    /// The events, neighbouring bytes as one; nil in front of what made it fail.
    private static func events(_ body: ByteBuffer, pieceByteCount: Int) -> [MultipartReader.Event?] {
        guard let boundary = MultipartBoundary("b") else { FuzzTarget.fail("b is a boundary") }
        var reader = MultipartReader(boundary: boundary)
        var events: [MultipartReader.Event?] = []
        var rest = body
        while let piece = rest.readSlice(length: min(pieceByteCount, rest.readableBytes)), piece.readableBytes > 0 {
            reader.append(piece)
            do throws(DICOMWebError) {
                while let event = try reader.next() {
                    if case .bytes(let more) = event, case .bytes(var last)?? = events.last {
                        last.writeImmutableBuffer(more)
                        events[events.count - 1] = .bytes(last)
                    } else {
                        events.append(event)
                    }
                }
            } catch {
                return events + [nil]
            }
        }
        return events
    }

    private static func query(_ text: String) {
        guard let query = try? QueryParameters(query: text) else { return }
        for level in [QIDOLevel.study, .series, .instance] {
            _ = try? QIDORequest(level: level, query: query, dictionary: .searchable)
        }
    }

    private static func accept(_ text: String) {
        guard let types = try? MediaType.list(text) else { return }
        for type in types {
            FuzzTarget.check((try? MediaType(parsing: type.description)) == type, "\(type) reads differently")
        }
        _ = try? Negotiation.accepted(headers: [text], offers: Representation.allCases)
    }

    private static func path(_ text: String) {
        _ = try? DICOMWebResource(path: text)
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let texts: [(UInt8, String)] = [
            (0xFC, "--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b\r\n\r\n\r\n--b--\r\n"),
            (0x08, "preamble\r\n--b \r\nA: b\nC:d\r\n\r\n\r\n--\r\n--b--"),
            (1, "PatientName=A%2A&StudyDate=20200101-&limit=5&offset=2&includefield=all&fuzzymatching=true"),
            (1, "00080050=1,2&StudyInstanceUID=1.2,1.3&ModalitiesInStudy=CT&StudyTime=10-11"),
            (2, "multipart/related; type=\"application/dicom\"; transfer-syntax=*; q=0.5, application/dicom+json"),
            (2, "image/jpeg;q=0.1,*/*;q=0"),
            (3, "/studies/1.2.3/series/1.2/instances/1.4/frames/1,2"), (3, "/studies/1.2.3/metadata"),
        ]
        return texts.map { number, text in
            var seed = ByteBuffer(integer: number)
            seed.writeString(text)
            return seed
        }
    }
}
