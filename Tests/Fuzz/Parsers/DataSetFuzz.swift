// SPDX-License-Identifier: Apache-2.0

import DICOM
import FuzzHarness
import NIOCore

/// The data set parser in every syntax, and the writer over what was read.
///
/// Input: one byte for the syntax (lower half) and what to do (upper half), then the data set.
enum DataSetFuzz {
    static let syntaxes: [TransferSyntax] = [
        .explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian, .deflatedExplicitVRLittleEndian,
        .jpegLSLossless,
    ]

    /// Small enough that reaching a limit is among the tested paths.
    static let limits: ReadLimits = {
        var limits = ReadLimits()
        limits.maximumDepth = 16
        limits.maximumElementCount = 2_000
        limits.maximumItemCount = 500
        limits.maximumInflatedByteCount = 1 << 18
        return limits
    }()

    static let target = FuzzTarget("dataset", seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let selector = bytes.takeByte()
        let syntax = self.syntaxes[Int(selector & 0x0F) % self.syntaxes.count]
        // Errors are the expected answer to most inputs.
        let header = try? DataSetReader.readHeader(bytes, transferSyntax: syntax, limits: self.limits)
        if selector & 0x10 != 0 {
            let stop = Tag(rawValue: 0x0020_000D)
            _ = try? DataSetReader.read(bytes, transferSyntax: syntax, limits: self.limits, stopBefore: stop)
        }
        guard let full = try? DataSetReader.read(bytes, transferSyntax: syntax, limits: self.limits) else { return }
        guard let header else { FuzzTarget.fail("the whole can be read, its header cannot") }
        self.check(header, of: full)
        // Where all that is left is zero bytes, readers take (0000,0000) for padding: it is in no data set.
        guard !full.dataSet.elements.contains(where: { $0.tag.rawValue == 0 }) else { return }
        RoundTrip.check(full)
        if selector & 0x20 != 0 {
            let encodings: [DataSetEncoding] = [.implicitLittleEndian, .explicitBigEndian, .explicitLittleEndian]
            RoundTrip.checkConversion(full, to: encodings[Int(selector >> 6) % encodings.count])
        }
    }

    /// What is read up to Pixel Data is the beginning of the whole.
    private static func check(_ header: ReadResult, of full: ReadResult) {
        let count = header.dataSet.count
        FuzzTarget.check(count <= full.dataSet.count, "the header has more elements than the whole")
        for (left, right) in zip(header.dataSet.elements, full.dataSet.elements) {
            FuzzTarget.check(left.tag == right.tag, "the header has \(left.tag) where the whole has \(right.tag)")
        }
        guard let stoppedAt = header.stoppedAt else {
            FuzzTarget.check(count == full.dataSet.count, "the header lacks elements without having stopped")
            return
        }
        let next = full.dataSet.elements[count]
        FuzzTarget.check(next.elementOffset == stoppedAt, "the header stopped elsewhere than Pixel Data is")
        FuzzTarget.check(header.pixelData?.valueOffset == next.valueOffset, "Pixel Data is located elsewhere")
        if let end = header.pixelData?.endOffset, full.dataSet.count > count + 1 {
            let after = full.dataSet.elements[count + 1].elementOffset ?? end
            FuzzTarget.check(end <= after, "Pixel Data ends within what follows")
        }
    }
}
