// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore
import Testing

/// The decoder against streams in any pieces, cut short, damaged, or of another protocol.
@Suite struct PDUDecoderTests {
    private static var stream: ByteBuffer {
        var stream = ByteBuffer()
        for sample in SamplePDUs.all {
            stream.writeImmutableBuffer(bytes(sample.hex))
        }
        return stream
    }

    @Test func givesTheSameByteByByte() throws {
        let whole = try SamplePDUs.decode(Self.stream)
        var decoder = PDUDecoder()
        let pieces = Self.stream.readableBytesView.map { ByteBuffer(bytes: [$0]) }
        #expect(try SamplePDUs.decode(pieces, decoder: &decoder) == whole)
        #expect(decoder.isAtBoundary)
    }

    @Test func givesTheSameInRandomPieces() throws {
        var random = SeededGenerator("random pieces")
        let whole = try SamplePDUs.decode(Self.stream)
        for _ in 0..<500 {
            var rest = Self.stream
            var pieces: [ByteBuffer] = []
            while let piece = rest.readSlice(length: min(rest.readableBytes, Int.random(in: 0...60, using: &random))) {
                pieces.append(piece)
                if rest.readableBytes == 0 { break }
            }
            var decoder = PDUDecoder()
            #expect(try SamplePDUs.decode(pieces, decoder: &decoder) == whole)
        }
    }

    @Test(arguments: SamplePDUs.all) func asksForMoreWhereverAStreamIsCut(_ sample: SamplePDUs.Sample) throws {
        let whole = bytes(sample.hex)
        for count in 0..<whole.readableBytes {
            var decoder = PDUDecoder()
            let elements = try SamplePDUs.decode([ByteBuffer(whole.readableBytesView.prefix(count))], decoder: &decoder)
            #expect(!elements.contains { if case .pdu = $0 { true } else { false } })
            #expect(decoder.isAtBoundary == (count == 0))
        }
    }

    /// A PDU whose length was cut to match: every offset must be an error or a PDU, never a trap.
    @Test(arguments: SamplePDUs.all) func survivesEveryShorterLength(_ sample: SamplePDUs.Sample) {
        let whole = bytes(sample.hex)
        for count in 6..<whole.readableBytes {
            var cut = ByteBuffer(whole.readableBytesView.prefix(count))
            cut.setInteger(UInt32(count - 6), at: 2)
            do throws(DIMSEError) {
                _ = try SamplePDUs.decode(cut)
            } catch {
                #expect(error.code == .malformedPDU)
            }
        }
    }

    @Test func survivesDamage() {
        var random = SeededGenerator("damage")
        let original = Array(Self.stream.readableBytesView)
        for _ in 0..<5_000 {
            var damaged = original
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(in: damaged.indices, using: &random)
                damaged[index] =
                    [0x00, 0xFF, 0x7F, 0x80, UInt8.random(in: 0...255, using: &random)]
                    .randomElement(using: &random) ?? 0
            }
            var decoder = PDUDecoder(limits: .init(dataByteCount: 4096, controlByteCount: 4096))
            var input = ByteBuffer(bytes: damaged)
            // Any error is right, a trap is not; what decodes must encode again.
            while let element = try? decoder.next(from: &input) {
                if case .pdu(let pdu) = element {
                    var again = ByteBuffer()
                    pdu.encode(into: &again)
                    #expect(again.readableBytes >= PDU.headerByteCount)
                }
            }
        }
    }

    @Test func refusesAClaimedLengthBeforeKeepingAnything() {
        Self.expectError(.lengthOverLimit, "0100 7fffffff")
        Self.expectError(.lengthOverLimit, "0400 00100001")
        Self.expectError(.lengthOverLimit, "0700 ffffffff")
    }

    @Test func namesOtherProtocols() {
        // The first bytes of a TLS 1.3 ClientHello: read as a PDU it would have 17 MB.
        Self.expectError(.looksLikeTLS, "1603010200010001fc0303")
        Self.expectError(.looksLikeHTTP, "474554202f20485454502f312e31")
        Self.expectError(.looksLikeHTTP, "504f5354202f20485454502f312e31")
        Self.expectError(.unrecognizedPDU, "000000000000")
        Self.expectError(.unrecognizedPDU, "0800 00000004 00000000")
    }

    @Test func refusesValuesThatOverrunTheirPDU() {
        Self.expectError(.malformedPDU, "0400 00000000")
        Self.expectError(.malformedPDU, "0400 00000005 0000000100")
        Self.expectError(.malformedPDU, "0400 00000006 00000001 01 03")
        Self.expectError(.malformedPDU, "0400 00000008 00000005 01 03 0000")
        Self.expectError(.malformedPDU, "0400 00000008 ffffffff 01 03 0000")
        // A whole value, then three bytes that cannot be a header.
        Self.expectError(.malformedPDU, "0400 0000000b 00000004 01 03 0000 000000")
    }

    @Test func passesAnEmptyValueOn() throws {
        let elements = try SamplePDUs.decode(bytes("0400 00000006 00000002 01 02"))
        #expect(elements == [.fragment(.init(contextID: 1, isCommand: false, isEnd: true, bytes: ByteBuffer()))])
    }

    @Test func staysSpentAfterAnError() {
        var decoder = PDUDecoder()
        var input = bytes("0900 00000000 0500 00000004 00000000")
        for _ in 0..<2 {
            do throws(DIMSEError) {
                _ = try decoder.next(from: &input)
                Issue.record("the decoder went on after an error")
            } catch {
                #expect(error.code == .unrecognizedPDU)
            }
        }
    }

    @Test func boundsTheNumberOfContexts() {
        var body = ByteBuffer()
        body.writeImmutableBuffer(bytes(SamplePDUs.request.hex).getSlice(at: 6, length: 68) ?? ByteBuffer())
        for _ in 0..<300 {
            body.writeImmutableBuffer(bytes("20000004 01000000"))
        }
        var stream = bytes("0100 00000000")
        stream.setInteger(UInt32(body.readableBytes), at: 2)
        stream.writeImmutableBuffer(body)
        #expect(throws: DIMSEError.self) { try SamplePDUs.decode(stream) }
    }

    private static func expectError(
        _ code: DIMSEError.Code,
        _ hex: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        do throws(DIMSEError) {
            let elements = try SamplePDUs.decode(bytes(hex))
            Issue.record("decoded \(elements)", sourceLocation: sourceLocation)
        } catch {
            #expect(error.code == code, sourceLocation: sourceLocation)
        }
    }
}
