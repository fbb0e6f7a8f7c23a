// SPDX-License-Identifier: Apache-2.0

import DICOM
import Foundation
import NIOCore
import Testing

@Suite struct HostileInputTests {
    /// A data set with a bit of everything.
    static let sample: Bytes = {
        let inner = Bytes().explicit(.modality, .cs, "CT").explicit(.rows, .us, [0, 2])
        let deep = Bytes().open(Tag(0x0008, 0x1115)).openItem(inner).item(inner).close()
        let unknown = Bytes().implicit(.modality, "CT")
        return Bytes().explicit(.specificCharacterSet, .cs, "ISO_IR 100").explicit(.patientName, .pn, "Doe^J\u{E9}")
            .explicit(Tag(0x0008, 0x1140), .sq, Bytes().item(deep).item(inner).array)
            .open(Tag(0x0009, 0x1001), .un).openItem(unknown).close()
            .explicit(.windowCenter, .ds, "40\\400.5 ").explicit(.bitsAllocated, .us, [16, 0])
            .open(.pixelData, .ob).fragment([0, 0, 0, 0]).fragment([1, 2, 3, 4]).close()
            .explicit(.dataSetTrailingPadding, .ob, [0, 0, 0, 0])
    }()

    /// Does everything that outside bytes go through; only errors of this module may come of it.
    static func exercise(_ bytes: ByteBuffer, _ syntax: TransferSyntax) {
        let report = DataSetCheck.check(bytes, transferSyntax: syntax)
        #expect(report.findings.count <= 500)
        for header in [true, false] {
            do {
                let result =
                    try header
                    ? DataSetReader.readHeader(bytes, transferSyntax: syntax)
                    : DataSetReader.read(bytes, transferSyntax: syntax)
                #expect(result.consumedByteCount <= result.source.readableBytes)
                if let end = result.pixelData?.endOffset { #expect(end <= result.source.readableBytes) }
                var json = ByteBuffer()
                DICOMJSON.write(result.dataSet, into: &json)
                _ = try DataSetWriter.write(result.dataSet, transferSyntax: .explicitVRLittleEndian)
                _ = try DataSetWriter.write(
                    result.dataSet,
                    transferSyntax: .explicitVRBigEndian,
                    options: .canonical
                )
                _ = DataSetCheck.check(result, transferSyntax: syntax)
                _ = try ImagePixelDescription(result.dataSet).pixelDataByteCount
            } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }

    @Test(arguments: [TransferSyntax.explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian])
    func truncationAtEveryOffset(syntax: TransferSyntax) throws {
        let sample = try DataSetReader.read(Self.sample.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        let bytes = try DataSetWriter.write(sample, transferSyntax: syntax)
        for count in 0..<bytes.readableBytes {
            let cut = try #require(bytes.getSlice(at: bytes.readerIndex, length: count))
            Self.exercise(cut, syntax)
        }
    }

    @Test func truncationOfAFileAtEveryOffset() throws {
        let meta = FileMeta(
            sopClassUID: try UID(validating: "1.2.840.10008.5.1.4.1.1.2"),
            sopInstanceUID: try UID(validating: "1.2.3"),
            transferSyntax: .explicitVRLittleEndian,
            sourceAETitle: "TEST"
        )
        let file = try Part10.write(meta)
        for count in 0..<file.readableBytes {
            let cut = try #require(file.getSlice(at: 0, length: count))
            let error = readError { _ = try Part10.readHeader(cut) }
            if let error { #expect([.truncated, .invalidFileMeta].contains(error.code)) }
        }
    }

    @Test func truncationOfADeflatedStreamAtEveryOffset() throws {
        let deflated = try Deflate.deflate(Self.sample.buffer)
        for count in 0..<(deflated.readableBytes - 2) {
            let cut = try #require(deflated.getSlice(at: 0, length: count))
            let error = readError { _ = try DataSetReader.read(cut, transferSyntax: .deflatedExplicitVRLittleEndian) }
            #expect(error?.code == .truncated)
        }
    }

    @Test(arguments: [65, 1_000, 100_000], [true, false])
    func nestedSequenceBomb(depth: Int, isExplicit: Bool) {
        let tag = Tag(0x0008, 0x1140)
        let level = (isExplicit ? Bytes().open(tag) : Bytes().tag(tag).length(.max)).tag(.item).length(.max).array
        let bytes = Bytes().raw(Array([[UInt8]](repeating: level, count: depth).joined()))
        let syntax: TransferSyntax = isExplicit ? .explicitVRLittleEndian : .implicitVRLittleEndian
        let error = readError { _ = try DataSetReader.read(bytes.buffer, transferSyntax: syntax) }
        #expect(error?.code == .limitExceeded)
    }

    @Test func sixtyFourLevelsAreFine() throws {
        var bytes = Bytes().explicit(.modality, .cs, "CT")
        for _ in 0..<64 { bytes = Bytes().open(Tag(0x0008, 0x1140)).openItem(bytes).close() }
        let result = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian)
        #expect(try DataSetWriter.write(result.dataSet, transferSyntax: .explicitVRLittleEndian) == bytes.buffer)
    }

    @Test func elementAndItemLimits() {
        var limits = ReadLimits()
        limits.maximumElementCount = 10
        limits.maximumItemCount = 3
        var elements = Bytes()
        for number in 0..<11 { elements = elements.explicit(Tag(0x0008, UInt16(number + 1)), .cs, "") }
        var items = Bytes().open(Tag(0x0008, 0x1140))
        for _ in 0..<4 { items = items.item(Bytes()) }
        var fragments = Bytes().open(.pixelData, .ob).fragment([])
        for _ in 0..<4 { fragments = fragments.fragment([]) }
        for bytes in [elements, items.close(), fragments.close()] {
            let error = readError {
                _ = try DataSetReader.read(bytes.buffer, transferSyntax: .explicitVRLittleEndian, limits: limits)
            }
            #expect(error?.code == .limitExceeded)
        }
    }

    @Test func deflateBomb() throws {
        let bomb = try Deflate.deflate(ByteBuffer(repeating: 0, count: 10 << 20))
        var limits = ReadLimits()
        limits.maximumInflatedByteCount = 1 << 20
        let error = readError {
            _ = try DataSetReader.read(bomb, transferSyntax: .deflatedExplicitVRLittleEndian, limits: limits)
        }
        #expect(error?.code == .limitExceeded)
    }

    @Test func zeroBytesBeforeANonzeroOneAreReadInOnePass() throws {
        // Each of these is an element (0000,0000); looking ahead for padding at each would take hours.
        var limits = ReadLimits()
        limits.maximumElementCount = 100_000
        let bytes = Bytes().raw([UInt8](repeating: 0, count: 16 << 20) + [1, 0, 0, 0, 0, 0, 0, 0])
        let error = readError {
            _ = try DataSetReader.read(bytes.buffer, transferSyntax: .implicitVRLittleEndian, limits: limits)
        }
        #expect(error?.code == .limitExceeded)
    }

    @Test func noise() {
        let noise = ByteBuffer(bytes: (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) })
        for syntax in TransferSyntax.all { Self.exercise(noise, syntax) }
    }

    static let seed: UInt64 =
        ProcessInfo.processInfo.environment["VARVE_TEST_SEED"].flatMap { UInt64($0) }
        ?? UInt64.random(in: 0...UInt64.max)

    @Test func mutationsOfTheSample() throws {
        print("mutationsOfTheSample: VARVE_TEST_SEED=\(Self.seed)")
        let sample = try DataSetReader.read(Self.sample.buffer, transferSyntax: .explicitVRLittleEndian).dataSet
        for syntax in [TransferSyntax.explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian] {
            let bytes = try DataSetWriter.write(sample, transferSyntax: syntax)
            Self.mutate(bytes, syntax, rounds: 1000)
        }
    }

    @Test(.enabled(if: Corpus.isPresent, "no corpus: set VARVE_TEST_CORPUS"))
    func mutationsOfCorpusHeaders() throws {
        print("mutationsOfCorpusHeaders: VARVE_TEST_SEED=\(Self.seed)")
        for path in Corpus.files(limitPerFolder: 2) where path != Corpus.cut {
            let (bytes, syntax) = try Corpus.dataSet(path)
            guard !syntax.isDeflated else {
                Self.mutate(bytes, syntax, rounds: 10)
                continue
            }
            let end = try DataSetReader.readHeader(bytes, transferSyntax: syntax).pixelData?.valueOffset
            let count = min(end ?? bytes.readableBytes, 16384)
            let header = try #require(bytes.getSlice(at: bytes.readerIndex, length: count))
            Self.mutate(header, syntax, rounds: 40)
        }
    }

    /// Flips bits, overwrites lengths and cuts, then runs everything; a trap ends the test run, the seed repeats it.
    private static func mutate(_ bytes: ByteBuffer, _ syntax: TransferSyntax, rounds: Int) {
        var random = SplitMix64(state: self.seed)
        let original = bytes.array
        guard !original.isEmpty else { return }
        for _ in 0..<rounds {
            var mutant = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<mutant.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: mutant[index] = 0xFF
                case 1: for at in index..<min(index + 4, mutant.count) { mutant[at] = 0xFF }
                case 2: mutant[index] = UInt8.random(in: 0...255, using: &random)
                default: mutant[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            if Bool.random(using: &random) { mutant.removeLast(Int.random(in: 0..<mutant.count, using: &random)) }
            self.exercise(ByteBuffer(bytes: mutant), syntax)
        }
    }
}
