// SPDX-License-Identifier: Apache-2.0

import DICOM
import FuzzHarness
import NIOCore

/// Preamble and file meta information, in whatever shape; what was read and is written again reads equal.
enum Part10Fuzz {
    static let target = FuzzTarget("part10", maximumByteCount: 2_048, seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        // The preamble is 128 bytes that say nothing: the mutator is spared them.
        var bytes = input
        var file = ByteBuffer()
        if bytes.takeByte() & 1 != 0 {
            file.writeRepeatingByte(0, count: Part10.preambleByteCount)
        }
        file.writeImmutableBuffer(bytes)
        guard let header = try? Part10.readHeader(file) else { return }
        FuzzTarget.check(header.dataSetOffset <= file.readableBytes, "the data set begins after the end")
        let meta = header.meta
        _ = meta.mediaStorageSOPClassUID
        _ = meta.sourceAETitle
        guard meta.elements.elements.allSatisfy({ $0.tag.group == 2 }), !meta.elements.isEmpty,
            !meta.elements.encoding.isBigEndian
        else { return }
        self.checkRoundTrip(meta, header.preamble)
    }

    private static func checkRoundTrip(_ meta: FileMeta, _ preamble: ByteBuffer?) {
        var expected = meta.elements
        expected.remove(.fileMetaInformationGroupLength)
        do throws(DICOMError) {
            let written = try Part10.write(meta, preamble: preamble)
            let again = try Part10.readHeader(written)
            var elements = again.meta.elements
            elements.remove(.fileMetaInformationGroupLength)
            FuzzTarget.check(elements == expected, "meta information reads differently: \(written.hexadecimal)")
            FuzzTarget.check(again.dataSetOffset == written.readableBytes, "a data set where none was written")
        } catch {
            FuzzTarget.fail("what was read cannot be written and read: \(error)")
        }
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let meta = FileMeta(
            sopClassUID: UID(lenientOrEmpty: "1.2.840.10008.5.1.4.1.1.2"),
            sopInstanceUID: UID(lenientOrEmpty: "1.2.3.4"),
            transferSyntax: .explicitVRLittleEndian,
            sourceAETitle: "FUZZ"
        )
        let written = (try? Part10.write(meta)) ?? ByteBuffer()
        return ([written] + files).compactMap { file in
            // The preamble is left out, see `run`.
            file.getSlice(at: 128, length: min(file.readableBytes, 1_024) - 128).map { DataSetFuzz.input(1, $0) }
        }
    }
}

extension UID {
    /// For seeds: a UID known to be one.
    fileprivate init(lenientOrEmpty text: String) {
        guard let uid = try? UID(lenient: text) else { FuzzTarget.fail("\(text) is no UID") }
        self = uid
    }
}
