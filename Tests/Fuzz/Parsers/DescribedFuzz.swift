// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import FuzzHarness
import NIOCore

/// Store transactions of metadata and bulk data: what is put together has the length that it says, and can be read.
///
/// Input: a byte for the kind of the parts, one for their length, one for how many there are of each location, a byte
/// count and so many bytes that are a Content-Type and the first bytes of a part, and the metadata.
enum DescribedFuzz {
    static let target = FuzzTarget("described", maximumByteCount: 2_048, seeds: seeds, run: run)

    private static let base = URIReference("http://host/dicom-web/studies")

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let kind = bytes.takeByte()
        let length = Int(bytes.takeByte())
        let copies = Int(bytes.takeByte() & 3)
        let count = min(Int(bytes.takeByte()), bytes.readableBytes)
        let header = bytes.readSlice(length: count) ?? ByteBuffer()
        let content = self.content(kind, header)
        guard let texts = try? DICOMJSON.split(bytes, limits: DataSetFuzz.limits) else { return }
        for text in texts {
            guard let instance = try? DescribedInstance(text, base: base) else { continue }
            var parts = BulkDataParts()
            for location in Set(instance.locations).sorted() {
                for _ in 0..<copies {
                    parts.append(BulkDataPart(location: location, content: content, byteCount: length))
                }
            }
            guard let wanted = try? instance.inMemory(parts) else { continue }
            let value = ByteBuffer(repeating: 0x41, count: length)
            let values = Dictionary(wanted.map { ($0, value) }, uniquingKeysWith: { first, _ in first })
            guard let assembled = try? instance.assembled(from: parts, values: values) else { continue }
            check(assembled, value, instance)
        }
    }

    private static func check(_ assembled: AssembledDataSet, _ value: ByteBuffer, _ instance: DescribedInstance) {
        var whole = ByteBuffer()
        for piece in assembled.pieces {
            switch piece {
            case .bytes(let bytes): whole.writeImmutableBuffer(bytes)
            case .part: whole.writeImmutableBuffer(value)
            }
        }
        FuzzTarget.check(whole.readableBytes == assembled.byteCount, "a data set is not as long as it says")
        do throws(DICOMError) {
            let read = try DataSetReader.read(whole, transferSyntax: assembled.transferSyntax).dataSet
            FuzzTarget.check(
                instance.sopInstanceUID.isEmpty || read.string(.sopInstanceUID) == instance.sopInstanceUID,
                "the data set is another instance: \(whole.hexadecimal)"
            )
        } catch {
            FuzzTarget.fail("a data set of ours cannot be read: \(error) \(whole.hexadecimal)")
        }
    }

    private static func content(_ kind: UInt8, _ header: ByteBuffer) -> BulkDataPart.Content {
        // Text up to a line end, then the first bytes of a part.
        let view = header.readableBytesView
        let end = view.firstIndex(of: UInt8(ascii: "\n")) ?? view.endIndex
        let head = ByteBuffer(header.readableBytesView[end...].dropFirst())
        let read = BulkDataPart.Content(contentType: String(decoding: view[..<end], as: UTF8.self), head: head)
        switch kind & 7 {
        case 0: return .native
        case 1: return .frame(candidates: [.rleLossless], isVideo: false)
        case 2: return .frame(candidates: [.jpegLSLossless, .jpegLSNearLossless], isVideo: false)
        case 3: return .document
        default: return read
        }
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let image = """
            "00080018":{"vr":"UI","Value":["1.2"]},"00280010":{"vr":"US","Value":[2]},"00280011":{"vr":"US","Value":[4]},
            "00280100":{"vr":"US","Value":[8]},"7FE00010":{"vr":"OB","BulkDataURI":"../p"}
            """
        let lut = #""00283010":{"vr":"SQ","Value":[{"00283006":{"vr":"OW","BulkDataURI":"/l?a#b"}}]}"#
        let texts = [
            "[{\(image)}]", "[{\(image),\"00280008\":{\"vr\":\"IS\",\"Value\":[2]}},{}]", "{\(lut)}",
            #"{"00420011":{"vr":"OB","BulkDataURI":"urn:d"},"00181000":{"vr":"LO","BulkDataURI":"//h/s"}}"#,
            // Once elsewhere and once here.
            #"{"00181000":{"vr":"OB","BulkDataURI":"p"},"00181000":{"vr":"LO","Value":["x"]}}"#,
            #"[{"00020010":{"vr":"UI","Value":["1.2.840.10008.1.2.4.80"]},"00080005":{"vr":"CS"},\#(image)}]"#,
        ]
        let heads: [(String, [UInt8])] = [
            ("", []),
            (
                "image/jls;transfer-syntax=1.2.840.10008.1.2.4.80\n",
                [0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0]
            ),
            ("image/jp2\n", [0xFF, 0x4F, 0xFF, 0x51, 0, 4, 0, 0, 0xFF, 0x52, 0, 12, 0, 0, 0, 1, 0, 5, 4, 4, 0, 1]),
        ]
        return texts.flatMap { text in
            heads.flatMap { type, head in
                [(0, 8, 1), (1, 9, 1), (2, 5, 2), (7, 8, 1)].map { (kind: UInt8, length: UInt8, copies: UInt8) in
                    var seed = ByteBuffer(bytes: [kind, length, copies, UInt8(type.utf8.count + head.count)])
                    seed.writeString(type)
                    seed.writeBytes(head)
                    seed.writeString(text)
                    return seed
                }
            }
        }
    }
}
