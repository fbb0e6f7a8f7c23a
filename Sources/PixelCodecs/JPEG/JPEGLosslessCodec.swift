// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// JPEG lossless (ISO 10918-1 process 14, transfer syntaxes .57 and .70): decoding, in Swift.
///
/// All seven predictors, 2 to 16 bits, components together in one scan or in a scan each, restart intervals of whole
/// rows, point transform. There is no colour transform: samples come back as the stream holds them, and as DICOM's
/// photometric interpretation says. Samples are decoded modulo 65,536 as the standard wants, so that streams whose SOF
/// claims fewer bits than their samples have are still whole.
package enum JPEGLosslessCodec {
    /// Decodes `encoded` into the native layout of `format`.
    ///
    /// Signed samples of fewer bits than allocated come back sign extended from the stream's precision, which is where
    /// pydicom and DCMTK extend them when it equals Bits Stored; a precision below Bits Stored is left alone as there.
    ///
    /// - Throws: `.mismatch` before anything is decoded for a stream that is another image or process.
    package static func decode(
        _ encoded: ByteBuffer,
        format: PixelFormat,
        into destination: UnsafeMutableRawBufferPointer,
        scratch: CodecScratch
    ) throws(CodecError) {
        if let reason = format.shapeRefusal { throw CodecError(.unsupported, reason) }
        precondition(destination.count == format.frameByteCount, "the destination was made for this frame")
        let failure = encoded.withUnsafeReadableBytes { bytes -> CodecError? in
            do throws(CodecError) {
                let stream = try JPEGStream(walking: bytes)
                try check(stream, format)
                for scan in stream.scans.prefix(stream.components.count) {
                    try JPEGLosslessScan(stream, scan, bytes, format, scratch).decode(into: destination)
                }
                stream.extendSigns(of: destination, format)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    private static func check(_ stream: JPEGStream, _ format: PixelFormat) throws(CodecError) {
        guard stream.process == .lossless else {
            throw CodecError(.mismatch, "a JPEG stream of process \(stream.process) where lossless is expected")
        }
        try stream.check(against: format)
        var isSeen = Array(repeating: false, count: stream.components.count)
        for scan in stream.scans {
            guard (1...7).contains(scan.spectralStart) else {
                throw CodecError(.unsupported, "JPEG lossless with predictor \(scan.spectralStart)")
            }
            guard scan.approximationLow < stream.precision else {
                throw CodecError(
                    .corruptStream,
                    "JPEG lossless with a point transform of \(scan.approximationLow) bits"
                )
            }
            guard scan.restartInterval % stream.columns == 0 else {
                throw CodecError(.unsupported, "JPEG lossless with restarts within a row")
            }
            for component in scan.components {
                guard !isSeen[component.index] else {
                    throw CodecError(.corruptStream, "JPEG lossless with two scans of one component")
                }
                isSeen[component.index] = true
                let sampling = stream.components[component.index]
                // The factors of a lone component say nothing (A.2.2), nor do equal ones of components apart.
                let first = stream.components[0]
                let isEven =
                    scan.components.count == 1
                    ? sampling.horizontalSampling == first.horizontalSampling
                        && sampling.verticalSampling == first.verticalSampling
                    : sampling.horizontalSampling == 1 && sampling.verticalSampling == 1
                guard isEven else { throw CodecError(.unsupported, "JPEG lossless with subsampled components") }
                guard let table = scan.tables.dc[component.dcTable], table.symbols.allSatisfy({ $0 <= 16 }) else {
                    throw CodecError(.corruptStream, "JPEG lossless without a valid table for its differences")
                }
            }
        }
        guard isSeen.allSatisfy({ $0 }) else {
            throw CodecError(.corruptStream, "JPEG lossless with a component that has no scan")
        }
    }
}
