// SPDX-License-Identifier: Apache-2.0

/// The skeleton of a JPEG-LS stream: what its marker segments claim, read before CharLS may see it.
///
/// CharLS 2.4.1 trusts too much (GHSA-mqrg-gfc8-73ff: dimensions given by an LSE segment overflow its size
/// arithmetic; and a later scan may name another interleave mode than the first, whose planes then run past the
/// destination). So every segment up to EOI is walked here, and only streams of one plain shape pass.
struct JPEGLSStream {
    enum InterleaveMode: UInt8 {
        /// One scan a component: CharLS reads and writes planes.
        case none = 0
        case line = 1
        case sample = 2
    }

    let rows: Int
    let columns: Int
    let componentCount: Int
    /// Bits a sample, 2 to 16: CharLS keeps samples of up to 8 bits in one byte, larger ones in two.
    let precision: Int
    let interleaveMode: InterleaveMode
    /// From SOI up to and with EOI; what follows (padding) is not part of the stream.
    let byteCount: Int

    var sampleByteCount: Int { precision > 8 ? 2 : 1 }
    var hasPlanes: Bool { interleaveMode == .none && componentCount > 1 }

    /// Refuses a sound stream that is another image than `format` says.
    func check(against format: PixelFormat) throws(CodecError) {
        guard rows == format.rows, columns == format.columns else {
            throw CodecError(
                .mismatch,
                "the JPEG-LS stream has \(rows) x \(columns) pixels, its format \(format.rows) x \(format.columns)"
            )
        }
        guard componentCount == format.samplesPerPixel else {
            throw CodecError(
                .mismatch,
                "the JPEG-LS stream has \(componentCount) components, its format \(format.samplesPerPixel)"
            )
        }
        guard precision <= format.bitsAllocated else {
            throw CodecError(
                .mismatch,
                "the JPEG-LS stream has \(precision) bits a sample, its format \(format.bitsAllocated) allocated"
            )
        }
    }
}

extension JPEGLSStream {
    /// Walks all marker segments of `bytes` (ISO 14495-1, annex C).
    init(walking bytes: UnsafeRawBufferPointer) throws(CodecError) {
        var walker = JPEGLSWalker(bytes)
        self = try walker.walk()
    }
}

/// Reads marker segments in order; all reads are checked.
private struct JPEGLSWalker: MarkerReading {
    static let streamName = "JPEG-LS"

    private typealias Frame = (rows: Int, columns: Int, componentCount: Int, precision: Int)

    let bytes: UnsafeRawBufferPointer
    var offset = 0
    private var frame: Frame?
    private var mode: JPEGLSStream.InterleaveMode?
    private var scanCount = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func walk() throws(CodecError) -> JPEGLSStream {
        guard try readUInt16() == 0xFFD8 else { throw corrupt("it does not begin with SOI") }
        while true {
            let marker = try readMarker()
            if marker == 0xD9 { return try finish() }
            let byteCount = Int(try readUInt16()) - 2
            guard byteCount >= 0, byteCount <= bytes.count - offset else {
                throw corrupt("a segment's length is wrong")
            }
            let end = offset + byteCount
            switch marker {
            case 0xF7: try readStartOfFrame(byteCount: byteCount)
            case 0xF8: try checkPresetParameters(byteCount: byteCount)
            case 0xDA:
                try readStartOfScan(byteCount: byteCount)
                offset = end
                skipEntropyCodedData()
                continue
            case 0xDD, 0xE0...0xEF, 0xFE: break
            case 0xC0...0xC3, 0xC5...0xC7, 0xC9...0xCB, 0xCD...0xCF:
                throw CodecError(.mismatch, "a JPEG stream of another process than JPEG-LS")
            default: throw corrupt("marker \(marker) does not belong in it")
            }
            offset = end
        }
    }

    private mutating func readStartOfFrame(byteCount: Int) throws(CodecError) {
        guard frame == nil else { throw corrupt("it has two SOF segments") }
        guard byteCount >= 6 else { throw corrupt("SOF55 is too short") }
        let precision = Int(try readByte())
        let rows = Int(try readUInt16())
        let columns = Int(try readUInt16())
        let componentCount = Int(try readByte())
        guard byteCount == 6 + 3 * componentCount else { throw corrupt("SOF55 has the wrong length") }
        guard (2...16).contains(precision), rows > 0, columns > 0, (1...4).contains(componentCount) else {
            throw CodecError(
                .unsupported,
                "JPEG-LS with \(rows) x \(columns) pixels, \(componentCount) components of \(precision) bits"
            )
        }
        for _ in 0..<componentCount {
            _ = try readByte()
            guard try readByte() == 0x11 else { throw CodecError(.unsupported, "JPEG-LS with subsampled components") }
            _ = try readByte()
        }
        frame = (rows, columns, componentCount, precision)
    }

    /// Lets only coding parameters (type 1) pass.
    ///
    /// Types 2 and 3 are palettes, which CharLS does not know; type 4 gives the
    /// dimensions a second time.
    private mutating func checkPresetParameters(byteCount: Int) throws(CodecError) {
        guard byteCount >= 1 else { throw corrupt("LSE is too short") }
        let type = try readByte()
        guard type == 1 else { throw CodecError(.unsupported, "JPEG-LS with preset parameters of type \(type)") }
    }

    private mutating func readStartOfScan(byteCount: Int) throws(CodecError) {
        guard let frame else { throw corrupt("SOS comes before SOF55") }
        let count = Int(try readByte())
        guard byteCount == 4 + 2 * count else { throw corrupt("SOS has the wrong length") }
        offset += 2 * count
        _ = try readByte()  // NEAR: CharLS checks it, and a proof would find its loss.
        let value = try readByte()
        guard let scanMode = JPEGLSStream.InterleaveMode(rawValue: value) else {
            throw corrupt("its interleave mode is \(value)")
        }
        let expected = scanMode == .none ? 1 : frame.componentCount
        guard count == expected, frame.componentCount > 1 || scanMode == .none else {
            throw CodecError(
                .unsupported,
                "JPEG-LS with interleave mode \(value) over \(count) of \(frame.componentCount) components"
            )
        }
        guard mode == nil || mode == scanMode else { throw corrupt("its scans differ in interleave mode") }
        mode = scanMode
        scanCount += 1
    }

    private func finish() throws(CodecError) -> JPEGLSStream {
        guard let frame, let mode else { throw corrupt("EOI comes before the first scan") }
        guard scanCount == (mode == .none ? frame.componentCount : 1) else {
            throw corrupt("it has \(scanCount) scans for \(frame.componentCount) components")
        }
        return JPEGLSStream(
            rows: frame.rows,
            columns: frame.columns,
            componentCount: frame.componentCount,
            precision: frame.precision,
            interleaveMode: mode,
            byteCount: offset
        )
    }

    /// Stops at the FF of the next marker: coded data never has FF before a byte of 80 or more, restart markers apart.
    private mutating func skipEntropyCodedData() {
        while offset < bytes.count {
            guard let found = bytes.firstOffset(of: 0xFF, from: offset), found + 1 < bytes.count else {
                offset = bytes.count
                return
            }
            let next = bytes[found + 1]
            if next >= 0x80, !(0xD0...0xD7).contains(next) {
                offset = found
                return
            }
            offset = found + 2
        }
    }
}
