// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

/// Every real file, in and out of every encoding.
@Suite(.enabled(if: Corpus.isPresent, "no corpus: set VARVE_TEST_CORPUS"))
struct CorpusTests {
    @Test func everyFileIsReadToItsEnd() throws {
        for path in Corpus.files() where path != Corpus.cut {
            let (bytes, syntax) = try Corpus.dataSet(path)
            let result = try DataSetReader.read(bytes, transferSyntax: syntax)
            #expect(result.consumedByteCount + result.trailingByteCount == result.source.readableBytes, "\(path)")
            #expect(result.dataSet[.rows] != nil, "\(path)")
        }
    }

    @Test func theCutFileGivesItsHeader() throws {
        let (bytes, syntax) = try Corpus.dataSet(Corpus.cut)
        #expect(readError { _ = try DataSetReader.read(bytes, transferSyntax: syntax) }?.code == .truncated)
        let header = try DataSetReader.readHeader(bytes, transferSyntax: syntax)
        #expect(header.dataSet.uid(.sopInstanceUID) != nil)
        #expect(header.pixelData?.endOffset == nil)
    }

    @Test func theSameSyntaxGivesTheSameBytes() throws {
        for path in Corpus.files() where path != Corpus.cut {
            let (bytes, syntax) = try Corpus.dataSet(path)
            let result = try DataSetReader.read(bytes, transferSyntax: syntax)
            var plain = ByteBuffer()
            try DataSetWriter.append(result.dataSet, encoding: result.dataSet.encoding, to: &plain)
            plain.writeRepeatingByte(0, count: result.trailingByteCount)
            #expect(plain == result.source, "\(path)")
        }
    }

    @Test(arguments: [TransferSyntax.explicitVRLittleEndian, .explicitVRBigEndian, .implicitVRLittleEndian])
    func throughOtherEncodingsAndBack(syntax target: TransferSyntax) throws {
        for path in Corpus.files(limitPerFolder: 5) where path != Corpus.cut {
            let (bytes, syntax) = try Corpus.dataSet(path)
            let original = try DataSetReader.read(bytes, transferSyntax: syntax).dataSet
            let there = try DataSetWriter.write(original, transferSyntax: target, options: .canonical)
            let middle = try DataSetReader.read(there, transferSyntax: target).dataSet
            #expect(middle.encoding == target.encoding, "\(path)")
            if target.isExplicitVR {
                let one = try DataSetWriter.write(
                    original,
                    transferSyntax: .explicitVRLittleEndian,
                    options: .canonical
                )
                let other = try DataSetWriter.write(
                    middle,
                    transferSyntax: .explicitVRLittleEndian,
                    options: .canonical
                )
                #expect(one == other, "\(path)")
            } else {
                // A sequence that came as UN is one again after the first round, by the dictionary.
                let again = try DataSetWriter.write(middle, transferSyntax: target, options: .canonical)
                let last = try DataSetReader.read(again, transferSyntax: target).dataSet
                #expect(last == middle, "\(path)")
                let third = try DataSetWriter.write(last, transferSyntax: target, options: .canonical)
                #expect(third == again, "\(path)")
            }
        }
    }

    @Test func pixelDataIsWhereTheReaderSays() throws {
        for path in Corpus.files(limitPerFolder: 5) where path != Corpus.cut {
            let (bytes, syntax) = try Corpus.dataSet(path)
            let whole = try DataSetReader.read(bytes, transferSyntax: syntax)
            let header = try DataSetReader.readHeader(bytes, transferSyntax: syntax)
            #expect(whole.pixelData == header.pixelData, "\(path)")
            guard let location = header.pixelData, let end = location.endOffset else { continue }
            #expect(location.isEncapsulated == syntax.isEncapsulated, "\(path)")
            let image = try? ImagePixelDescription(header.dataSet)
            if let byteCount = location.byteCount, let image, location.tag == .pixelData {
                #expect(byteCount >= image.pixelDataByteCount, "\(path)")
                #expect(byteCount - image.pixelDataByteCount <= 4096, "\(path)")
            }
            #expect(end <= header.source.readableBytes)
            let fragments = location.fragments.reduce(0) { $0 + $1.byteCount }
            if location.isEncapsulated { #expect(fragments > 0, "\(path)") }
        }
    }

    @Test func everyHeaderTruncatedAtEveryTwentiethOffset() throws {
        for path in Corpus.files(limitPerFolder: 1).prefix(12) where path != Corpus.cut {
            let (bytes, syntax) = try Corpus.dataSet(path)
            let header = try DataSetReader.readHeader(bytes, transferSyntax: syntax)
            let end = min(header.pixelData?.valueOffset ?? 4096, 8192)
            for count in stride(from: 0, to: end, by: 20) {
                let cut = try #require(bytes.getSlice(at: bytes.readerIndex, length: min(count, bytes.readableBytes)))
                HostileInputTests.exercise(cut, syntax)
            }
        }
    }
}
