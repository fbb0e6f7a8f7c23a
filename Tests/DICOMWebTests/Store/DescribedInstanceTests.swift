// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import NIOCore
import Testing

@Suite("Instances that come as metadata and bulk data")
struct DescribedInstanceTests {
    /// Content-Location, Content-Type and bytes.
    private typealias Part = (String, String?, ByteBuffer)

    private static let base = URIReference("http://pacs/dicom-web/studies")

    /// A data set that describes an image of 4 x 2 pixels of 16 bits; `changes` are more members, or other values.
    private func metadata(frames: Int = 1, pixels: String? = #""BulkDataURI":"p""#, _ more: String...) -> String {
        let image = """
            "00280002":{"vr":"US","Value":[1]},"00280004":{"vr":"CS","Value":["MONOCHROME2"]},
            "00280008":{"vr":"IS","Value":[\(frames)]},"00280010":{"vr":"US","Value":[2]},
            "00280011":{"vr":"US","Value":[4]},"00280100":{"vr":"US","Value":[16]},"00280101":{"vr":"US","Value":[16]},
            "00280102":{"vr":"US","Value":[15]},"00280103":{"vr":"US","Value":[0]}
            """
        let uids = """
            "00080016":{"vr":"UI","Value":["1.2.3"]},"00080018":{"vr":"UI","Value":["1.2.4"]},
            "0020000D":{"vr":"UI","Value":["1.2.5"]},"0020000E":{"vr":"UI","Value":["1.2.6"]}
            """
        let pixelData = pixels.map { [#""7FE00010":{"vr":"OB",\#($0)}"#] } ?? []
        return "{" + ([uids, image] + more + pixelData).joined(separator: ",") + "}"
    }

    private func instance(_ text: String) throws -> DescribedInstance {
        try DescribedInstance(ByteBuffer(string: text), base: Self.base)
    }

    /// Puts the data set together as the service does, and reads it.
    private func assemble(
        _ text: String,
        _ parts: [Part]
    ) throws -> (syntax: TransferSyntax, dataSet: DataSet, pieces: [AssembledDataSet.Piece]) {
        let instance = try instance(text)
        var known = BulkDataParts()
        for part in parts {
            known.append(
                BulkDataPart(
                    location: DescribedInstance.location(part.0, Self.base),
                    content: BulkDataPart.Content(contentType: part.1, head: part.2),
                    byteCount: part.2.readableBytes
                )
            )
        }
        var values: [Int: ByteBuffer] = [:]
        for index in try instance.inMemory(known) { values[index] = parts[index].2 }
        let assembled = try instance.assembled(from: known, values: values)
        var bytes = ByteBuffer()
        for piece in assembled.pieces {
            switch piece {
            case .bytes(let more): bytes.writeImmutableBuffer(more)
            case .part(let index): bytes.writeImmutableBuffer(parts[index].2)
            }
        }
        #expect(bytes.readableBytes == assembled.byteCount)
        return (
            assembled.transferSyntax,
            try DataSetReader.read(bytes, transferSyntax: assembled.transferSyntax).dataSet, assembled.pieces
        )
    }

    private func refusal(_ text: String, _ parts: [Part]) -> String {
        do {
            _ = try assemble(text, parts)
            return ""
        } catch {
            return (error as? DICOMWebError)?.message ?? "\(error)"
        }
    }

    private let native = ByteBuffer(bytes: Array(0..<16))

    @Test("Its UIDs and the locations that it names")
    func names() throws {
        let icon = #""00880200":{"vr":"SQ","Value":[{"7FE00010":{"vr":"OW","BulkDataURI":"/icon"}}]}"#
        let one = try instance(metadata(icon))
        let uids = [one.sopClassUID, one.sopInstanceUID, one.studyInstanceUID, one.seriesInstanceUID]
        #expect(uids == ["1.2.3", "1.2.4", "1.2.5", "1.2.6"])
        #expect(one.locations == ["http://pacs/icon", "http://pacs/dicom-web/p"])
    }

    @Test(
        "A part is found by the very same URI, or by one that means the same",
        arguments: [
            ("p", "p"), ("http://pacs/dicom-web/p", "p"), ("p", "http://PACS/dicom-web/p"),
            ("./a/../p", "/dicom-web/p"),
            ("urn:uuid:7", "urn:uuid:7"), ("file:/tmp/x?offset=1&length=2", "file:/tmp/x?offset=1&length=2"),
        ]
    )
    func locations(_ uri: String, _ location: String) throws {
        let text = metadata(pixels: #""BulkDataURI":"\#(uri)""#)
        let (syntax, dataSet, _) = try assemble(text, [(location, nil, native)])
        #expect(syntax == .explicitVRLittleEndian)
        #expect(dataSet.bytes(.pixelData) == native)
        #expect(dataSet[.pixelData]?.vr == .ow)
    }

    @Test("Native pixel data stay outside of memory; all else is as in the metadata")
    func pieces() throws {
        let (_, dataSet, pieces) = try assemble(
            metadata(#""00100010":{"vr":"PN","Value":[{"Alphabetic":"M\u00FCller"}]}"#),
            [("p", "application/octet-stream", native)]
        )
        #expect(pieces.last == .part(0))
        #expect(dataSet.string(.patientName) == "M\u{FC}ller")
        #expect(dataSet.string(.specificCharacterSet) == "ISO_IR 192")
        #expect(dataSet.integer(.rows) == 2)
    }

    @Test("Pixel data in the metadata themselves")
    func inline() throws {
        let text = metadata(pixels: #""InlineBinary":"AAECAwQFBgcICQoLDA0ODw==""#)
        #expect(try assemble(text, []).dataSet.bytes(.pixelData) == native)
        #expect(refusal(metadata(pixels: #""InlineBinary":"AAEC""#), []).contains("have 4 bytes"))
        #expect(refusal(metadata(pixels: #""InlineBinary":"!""#), []).contains("base64"))
    }

    @Test("Compressed frames become fragments with an offset table")
    func frames() throws {
        let first = Heads.jpeg(frame: 0xF7)
        var second = first
        second.writeInteger(UInt8(1))
        let text = metadata(
            frames: 3,
            #""7FE00001":{"vr":"OV","InlineBinary":"AAAAAAAAAAA="},"7FE00002":{"vr":"OV","InlineBinary":"AAAAAAAAAAA="}"#
        )
        let (syntax, dataSet, _) = try assemble(text, [first, second, first].map { ("p", "image/jls", $0) })
        #expect(syntax == .jpegLSLossless)
        guard case .fragments(let value) = dataSet[.pixelData]?.value else {
            Issue.record("Pixel Data are not encapsulated")
            return
        }
        var padded = [first, second, first]
        for index in padded.indices where padded[index].readableBytes % 2 != 0 { padded[index].writeInteger(UInt8(0)) }
        #expect(value.fragments == padded)
        var table = value.basicOffsetTable
        let offsets = [0, 8 + padded[0].readableBytes, 16 + padded[0].readableBytes + padded[1].readableBytes]
        #expect((0..<3).map { _ in table.readInteger(endianness: .little, as: UInt32.self).map(Int.init) } == offsets)
        #expect(table.readableBytes == 0)
        #expect(dataSet[.extendedOffsetTable] == nil && dataSet[.extendedOffsetTableLengths] == nil)
        #expect(dataSet[.pixelData]?.vr == .ob)
    }

    @Test("A lossy frame among lossless ones makes the instance lossy")
    func mixed() throws {
        let heads = [Heads.jpeg(frame: 0xF7), Heads.jpeg(frame: 0xF7, parameter: 2)]
        #expect(try assemble(metadata(frames: 2), heads.map { ("p", "image/jls", $0) }).syntax == .jpegLSNearLossless)
        let other: [Part] = [("p", "image/jls", heads[0]), ("p", "image/jpeg", Heads.jpeg(frame: 0xC0))]
        #expect(refusal(metadata(frames: 2), other).contains("several transfer syntaxes"))
    }

    @Test("A video is one fragment, whatever its number of frames")
    func video() throws {
        let stream = ByteBuffer(repeating: 7, count: 31)
        let (syntax, dataSet, _) = try assemble(metadata(frames: 25), [("p", "video/mp4", stream)])
        #expect(syntax.uid.string == "1.2.840.10008.1.2.4.102")
        guard case .fragments(let value) = dataSet[.pixelData]?.value else {
            Issue.record("Pixel Data are not encapsulated")
            return
        }
        #expect(value.fragments.map(\.readableBytes) == [32])
        #expect(value.basicOffsetTable.readableBytes == 0)
    }

    @Test("Bulk data elsewhere: in sequences, in documents, in values of short length")
    func elsewhere() throws {
        let text = """
            {"00080018":{"vr":"UI","Value":["1.2.4"]},
            "00181000":{"vr":"LO","BulkDataURI":"serial"},
            "00283010":{"vr":"SQ","Value":[
                {"00283006":{"vr":"OW","BulkDataURI":"lut"}},{"00283006":{"vr":"OW","BulkDataURI":"lut"}}]},
            "00420011":{"vr":"OB","BulkDataURI":"document"}}
            """
        let (lut, document) = (ByteBuffer(bytes: [1, 2, 3, 4]), ByteBuffer(string: "%PDF-"))
        let (_, dataSet, pieces) = try assemble(
            text,
            [("document", "application/pdf", document), ("lut", nil, lut), ("serial", nil, ByteBuffer(string: "abc"))]
        )
        #expect(dataSet.bytes(Tag(0x0042, 0x0011)) == ByteBuffer(string: "%PDF-\0"))
        #expect(dataSet.string(Tag(0x0018, 0x1000)) == "abc")
        #expect(dataSet.items(Tag(0x0028, 0x3010)).map { $0.bytes(.lutData) } == [lut, lut])
        #expect(pieces.contains(.part(0)) && !pieces.contains(.part(1)) && !pieces.contains(.part(2)))
    }

    @Test("Group 0002 stays away, and its transfer syntax has to be the one of the pixel data")
    func fileMeta() throws {
        let named = #""00020010":{"vr":"UI","Value":["1.2.840.10008.1.2.4.80"]}"#
        let frame: [Part] = [("p", "image/jls", Heads.jpeg(frame: 0xF7))]
        #expect(try assemble(metadata(named), frame).dataSet[.transferSyntaxUID] == nil)
        #expect(refusal(metadata(named), [("p", nil, native)]).contains("(0002,0010)"))
        let implicit = #""00020010":{"vr":"UI","Value":["1.2.840.10008.1.2"]}"#
        #expect(refusal(metadata(implicit), [("p", nil, native)]) == "")
        let command = #""00000002":{"vr":"UI","Value":["1.2"]}"#
        #expect(refusal(metadata(command), [("p", nil, native)]).contains("groups begin"))
    }

    @Test("Parts that are missing, too many, too short, or of the wrong kind")
    func contradictions() {
        let head = Heads.jpeg(frame: 0xF7)
        #expect(refusal(metadata(), []).contains("no part has its BulkDataURI"))
        #expect(refusal(metadata(), [("q", nil, native)]).contains("(7FE0,0010)"))
        #expect(refusal(metadata(), [("p", nil, native), ("p", nil, native)]).contains("2 parts"))
        #expect(refusal(metadata(frames: 2), [("p", nil, native)]).contains("have 16 bytes"))
        #expect(refusal(metadata(frames: 2), [("p", "image/jls", head)]).contains("in 1 parts, but 2"))
        let two: [Part] = [("p", "image/jls", head), ("p", "image/jls", head)]
        #expect(refusal(metadata(), two).contains("in 2 parts, but 1"))
        #expect(refusal(metadata(), [("p", "image/jls", head), ("p", nil, native)]).contains("neither native"))
        #expect(refusal(metadata(), [("p", "image/png", native)]).contains("image/png"))
        #expect(refusal(metadata(), [("p", "application/pdf", native)]).contains("neither native"))
        #expect(refusal(metadata(pixels: nil), []).contains("no Pixel Data"))
        let lut = #""00283010":{"vr":"SQ","Value":[{"00283006":{"vr":"OW","BulkDataURI":"l"}}]}"#
        #expect(refusal(metadata(lut), [("p", nil, native), ("l", "image/jls", head)]).contains("compressed frame"))
        let twice: [Part] = [("p", nil, native), ("l", nil, native), ("l", nil, native)]
        #expect(refusal(metadata(lut), twice).contains("2 parts"))
        let bare = #"{"7FE00010":{"vr":"OW","BulkDataURI":"p"}}"#
        #expect(refusal(bare, [("p", nil, native)]).contains("describe no image"))
    }

    @Test("Metadata that are no data set")
    func metadataErrors() {
        #expect(throws: DICOMWebError.self) { try instance("{") }
        #expect(throws: DICOMWebError.self) { try instance(#"{"00280010":{"vr":"US","Value":["x"]}}"#) }
        #expect(throws: DICOMWebError.self) { try instance(#"{"00081140":{"vr":"SQ","BulkDataURI":"x"}}"#) }
    }

    @Test("Bulk data within sequences have a limit")
    func limit() throws {
        let one = try instance(#"{"00283010":{"vr":"SQ","Value":[{"00283006":{"vr":"OW","BulkDataURI":"l"}}]}}"#)
        func parts(_ byteCount: Int) -> BulkDataParts {
            var parts = BulkDataParts()
            parts.append(BulkDataPart(location: one.locations[0], content: .native, byteCount: byteCount))
            return parts
        }
        #expect(try one.inMemory(parts(DescribedInstance.maximumNestedByteCount)) == [0])
        #expect(throws: DICOMWebError.self) { try one.inMemory(parts(DescribedInstance.maximumNestedByteCount + 1)) }
    }

    @Test("Frames behind 4 GiB leave the offset table empty")
    func hugeFrames() throws {
        let one = try instance(metadata(frames: 4))
        var parts = BulkDataParts()
        for _ in 0..<4 {
            parts.append(
                BulkDataPart(
                    location: one.locations[0],
                    content: .frame(candidates: [.rleLossless], isVideo: false),
                    byteCount: 2 << 30
                )
            )
        }
        let assembled = try one.assembled(from: parts, values: [:])
        #expect(assembled.pieces.filter { if case .part = $0 { true } else { false } }.count == 4)
        guard case .bytes(let head)? = assembled.pieces.first else {
            Issue.record("the first piece is a part")
            return
        }
        // Pixel Data, an empty offset table, the first fragment's header.
        let item: [UInt8] = [0xFE, 0xFF, 0, 0xE0]
        #expect(Array(head.readableBytesView.suffix(16)) == item + [0, 0, 0, 0] + item + [0, 0, 0, 0x80])
    }
}
