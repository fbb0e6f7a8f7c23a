// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import SegmentFormat
import Testing

@Suite struct InstanceMetadataTests {
    static let digest = SHA256Digest(
        words: (0x2021_2223_2425_2627, 0x2829_2A2B_2C2D_2E2F, 0x3031_3233_3435_3637, 0x3839_3A3B_3C3D_3E3F)
    )

    static let small = InstanceMetadata(
        studyInstanceUID: "1.2.3",
        seriesInstanceUID: "1.2.3.4",
        sopInstanceUID: "1.2.3.4.5",
        sopClassUID: "1.2.840.10008.5.1.4.1.1.2",
        receivedAtMilliseconds: 0x0000_018B_CFE5_6800,
        receivedTransferSyntax: "1.2.840.10008.1.2.1",
        storedTransferSyntax: "1.2.840.10008.1.2.1",
        receivedByteCount: 1024,
        receivedDigest: digest,
        dataSetOffset: 330
    )

    static let full = InstanceMetadata(
        studyInstanceUID: "1.2.3",
        seriesInstanceUID: "1.2.3.4",
        sopInstanceUID: "1.2.3.4.5",
        sopClassUID: "1.2.840.10008.5.1.4.1.1.2",
        callingAETitle: "MODALITY",
        calledAETitle: "VARVE",
        receivedAtMilliseconds: 0x0000_018B_CFE5_6800,
        receivedTransferSyntax: "1.2.840.10008.1.2.1",
        storedTransferSyntax: "1.2.840.10008.1.2.4.80",
        receivedByteCount: 526_336,
        receivedDigest: digest,
        pixelDigest: SHA256Digest(words: (1, 2, 3, 4)),
        codecNote: "JPEG-LS",
        dataSetOffset: 330,
        pixelDataOffset: 2000,
        pixelEndOffset: 300_000,
        frames: [FrameLocation(offset: 2020, byteCount: 1000), FrameLocation(offset: 3028, byteCount: 996)],
        restoration: Restoration(
            pixelVR: 0x4F57,
            pixelByteCount: 524_288,
            pixelLengthIsUndefined: true,
            trailingBytes: [0],
            patches: [RestorationPatch(offset: 12, original: [1, 2, 3])]
        ),
        unknownFields: [.init(tag: 4000, value: [9, 8, 7])]
    )

    @Test func hasGoldenBytes() throws {
        #expect(Fixture.hexadecimal(Self.small.encode()) == Golden.smallMetadata)
        #expect(Fixture.hexadecimal(Self.full.encode()) == Golden.fullMetadata)
    }

    @Test(arguments: [small, full])
    func roundTrips(metadata: InstanceMetadata) throws {
        #expect(try InstanceMetadata(decoding: metadata.encode()) == metadata)
    }

    @Test func cutShortAnywhereItIsRefusedOrAnotherValue() throws {
        let whole = Self.full.encode()
        for count in 0..<whole.readableBytes {
            let cut = try #require(whole.getSlice(at: 0, length: count))
            // Between two fields that may be missing the rest is still metadata, only less of it.
            if let metadata = try? InstanceMetadata(decoding: cut) { #expect(metadata != Self.full) }
        }
    }

    @Test func whatEveryInstanceHasMustBeThere() {
        // Without the first field: the study's UID.
        var bytes = Self.small.encode()
        bytes.moveReaderIndex(forwardBy: 6 + 5)
        let error = #expect(throws: SegmentFormatError.self) { try InstanceMetadata(decoding: bytes) }
        #expect(error?.code == .malformed)
    }

    @Test func aFieldGivenTwiceIsRefused() {
        var bytes = Self.small.encode()
        bytes.writeImmutableBuffer(Self.small.encode())
        #expect(throws: SegmentFormatError.self) { try InstanceMetadata(decoding: bytes) }
    }

    @Test func textThatIsNotUTF8IsRefused() {
        var bytes = Self.small.encode()
        bytes.setInteger(UInt8(0xFF), at: 6)
        #expect(throws: SegmentFormatError.self) { try InstanceMetadata(decoding: bytes) }
    }

    @Test func noMutationTraps() throws {
        var generator = SeededGenerator.announced("metadata noMutationTraps")
        let original = Array(Self.full.encode().readableBytesView)
        for _ in 0..<5000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if let metadata = try? InstanceMetadata(decoding: ByteBuffer(bytes: bytes)) {
                // Whatever was accepted is a value like any other.
                #expect(try InstanceMetadata(decoding: metadata.encode()) == metadata)
            }
        }
    }

    @Test func `patches put back bytes of the same and of another length`() throws {
        var restoration = Restoration(pixelVR: 0x4F57, pixelByteCount: 6)
        let stored = ByteBuffer(string: "0123456789")
        #expect(restoration.restored(stored) == stored)
        restoration.patches = [
            RestorationPatch(offset: 8, storedByteCount: 2, original: Array("end".utf8)),
            RestorationPatch(offset: 1, original: Array("ab".utf8)),
            RestorationPatch(offset: 4, storedByteCount: 3, original: []),
        ]
        #expect(restoration.restored(stored) == ByteBuffer(string: "0ab37end"))
        #expect(restoration.restored(ByteBuffer(string: "012345678")) == nil)

        var metadata = InstanceMetadata(
            studyInstanceUID: "1",
            seriesInstanceUID: "2",
            sopInstanceUID: "3",
            sopClassUID: "4",
            receivedAtMilliseconds: 5,
            receivedTransferSyntax: "6",
            storedTransferSyntax: "7",
            receivedByteCount: 8,
            receivedDigest: SHA256Hasher.digest(of: stored),
            dataSetOffset: 9
        )
        metadata.restoration = restoration
        #expect(try InstanceMetadata(decoding: metadata.encode()) == metadata)
        // Overlapping patches have no meaning.
        restoration.patches = [
            RestorationPatch(offset: 1, original: [1, 2]), RestorationPatch(offset: 2, original: [3]),
        ]
        #expect(restoration.restored(stored) == nil)
    }
}
