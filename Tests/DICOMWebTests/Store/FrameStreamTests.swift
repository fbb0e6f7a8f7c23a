// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import NIOCore
import Testing

/// Heads of streams, made by hand from the standards' marker segments.
enum Heads {
    /// A JPEG family stream with one component; `parameter` is what stands first behind the scan's components.
    static func jpeg(frame: UInt8, parameter: UInt8 = 0, before: [UInt8] = []) -> ByteBuffer {
        var bytes = ByteBuffer(bytes: [0xFF, 0xD8] + before)
        bytes.writeBytes([0xFF, frame, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0])
        bytes.writeBytes([0xFF, 0xDA, 0, 8, 1, 1, 0, parameter, 0, 0])
        return bytes
    }

    static func jpeg2000(transformation: UInt8, style: UInt8 = 0, hasCAP: Bool = false) -> ByteBuffer {
        var bytes = ByteBuffer(bytes: [0xFF, 0x4F, 0xFF, 0x51, 0, 4, 0, 0])
        if hasCAP { bytes.writeBytes([0xFF, 0x50, 0, 8, 0, 2, 0, 0, 0, 0]) }
        bytes.writeBytes([0xFF, 0x52, 0, 12, 0, 0, 0, 1, 0, 5, 4, 4, style, transformation])
        return bytes
    }
}

@Suite("What a frame's stream says of its syntax")
struct FrameStreamTests {
    private func syntaxes(_ head: ByteBuffer) -> [String] {
        guard case .syntaxes(let uids) = FrameStream.look(at: head) else { return [] }
        return uids.map { String($0.dropFirst("1.2.840.10008.1.2.4.".count)) }
    }

    @Test("Every process of JPEG, JPEG-LS and JPEG 2000")
    func processes() {
        #expect(syntaxes(Heads.jpeg(frame: 0xC0)) == ["50", "51"])
        #expect(syntaxes(Heads.jpeg(frame: 0xC1)) == ["51"])
        #expect(syntaxes(Heads.jpeg(frame: 0xC3, parameter: 1)) == ["70", "57"])
        #expect(syntaxes(Heads.jpeg(frame: 0xC3, parameter: 4)) == ["57"])
        #expect(syntaxes(Heads.jpeg(frame: 0xF7)) == ["80", "81"])
        #expect(syntaxes(Heads.jpeg(frame: 0xF7, parameter: 3)) == ["81"])
        #expect(syntaxes(Heads.jpeg2000(transformation: 1)) == ["90", "91", "92", "93"])
        #expect(syntaxes(Heads.jpeg2000(transformation: 0)) == ["91", "93"])
        #expect(syntaxes(Heads.jpeg2000(transformation: 1, style: 0x40)) == ["201", "202", "203"])
        #expect(syntaxes(Heads.jpeg2000(transformation: 0, hasCAP: true)) == ["203"])
    }

    @Test("Segments and fill bytes before the frame header are passed over")
    func segments() {
        let application: [UInt8] = [0xFF, 0xE0, 0, 4, 0xFF, 0xC3, 0xFF, 0xFF, 0xFE, 0, 2]
        #expect(syntaxes(Heads.jpeg(frame: 0xC0, before: application)) == ["50", "51"])
    }

    @Test("A head that is cut anywhere, or is something else, says nothing")
    func others() {
        for head in [Heads.jpeg(frame: 0xF7), Heads.jpeg2000(transformation: 1)] {
            for count in 0..<head.readableBytes - 2 {
                #expect(head.getSlice(at: 0, length: count).map(FrameStream.look) == .unknown)
            }
        }
        #expect(FrameStream.look(at: ByteBuffer(string: "DICM")) == .unknown)
        #expect(FrameStream.look(at: Heads.jpeg(frame: 0xC4)) == .unknown)
        let box = ByteBuffer(bytes: [0, 0, 0, 12] + Array("jP  ".utf8) + [0x0D, 0x0A, 0x87, 0x0A])
        #expect(FrameStream.look(at: box) == .boxed)
    }
}

@Suite("Content-Type of bulk data")
struct BulkDataContentTests {
    private func content(_ type: String?, _ head: ByteBuffer = ByteBuffer()) -> BulkDataPart.Content {
        BulkDataPart.Content(contentType: type, head: head)
    }

    private func candidates(_ type: String, _ head: ByteBuffer = ByteBuffer()) -> [TransferSyntax] {
        guard case .frame(let candidates, _) = content(type, head) else { return [] }
        return candidates
    }

    private func isUnusable(_ type: String, _ head: ByteBuffer = ByteBuffer()) -> Bool {
        if case .unusable = content(type, head) { true } else { false }
    }

    @Test("Values, documents and videos")
    func values() {
        #expect(content(nil) == .native)
        #expect(content("application/octet-stream") == .native)
        #expect(content("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1") == .native)
        #expect(content("application/pdf") == .document)
        #expect(candidates("image/dicom-rle") == [.rleLossless])
        let video = TransferSyntax.known("1.2.840.10008.1.2.4.102").map { [$0] } ?? []
        #expect(content("video/mp4") == .frame(candidates: video, isVideo: true))
        #expect(candidates("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.5") == [.rleLossless])
    }

    @Test("Without a syntax of its own the type leaves the choice to the stream")
    func streams() {
        #expect(candidates("image/jpeg", Heads.jpeg(frame: 0xC0)) == [.jpegBaseline, .jpegExtended])
        #expect(candidates("image/jpeg", Heads.jpeg(frame: 0xC3, parameter: 1)).first == .jpegLosslessSV1)
        #expect(candidates("image/jls", Heads.jpeg(frame: 0xF7)).first == .jpegLSLossless)
        #expect(candidates("image/jls", Heads.jpeg(frame: 0xF7, parameter: 2)) == [.jpegLSNearLossless])
        #expect(candidates("image/jp2", Heads.jpeg2000(transformation: 0)) == [.jpeg2000])
        #expect(candidates("image/jphc", Heads.jpeg2000(transformation: 1, style: 0x40)).first == .htj2kLossless)
    }

    @Test("A syntax that the type names is the one, if the stream agrees")
    func named() {
        let lossless = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.57"
        #expect(candidates(lossless, Heads.jpeg(frame: 0xC3, parameter: 1)) == [.jpegLossless])
        #expect(isUnusable(lossless, Heads.jpeg(frame: 0xC0)))
        #expect(
            candidates("image/jls; transfer-syntax=1.2.840.10008.1.2.4.81", Heads.jpeg(frame: 0xF7))
                == [.jpegLSNearLossless]
        )
    }

    @Test("What can't be used")
    func unusable() {
        #expect(isUnusable("image/png"))
        #expect(isUnusable("nonsense"))
        #expect(isUnusable("image/jpeg", ByteBuffer(string: "no JPEG")))
        #expect(isUnusable("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.80", Heads.jpeg(frame: 0xF7)))
        #expect(isUnusable("application/octet-stream; transfer-syntax=1.2.3"))
        #expect(isUnusable("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.2"))
        let box = ByteBuffer(bytes: [0, 0, 0, 12] + Array("jP  ".utf8) + [0x0D, 0x0A, 0x87, 0x0A])
        #expect(isUnusable("image/jp2", box))
    }
}
