// SPDX-License-Identifier: Apache-2.0

/// The skeleton of a JPEG stream (ISO 10918-1): what its marker segments claim, read before anything is decoded.
///
/// Nothing in it is trusted by its own word: counts are checked against the bytes that are there, and `check(against:)`
/// compares the image with the format that the data set gives.
struct JPEGStream {
    /// SOF0 to SOF3: the processes that DICOM has transfer syntaxes for.
    enum Process: UInt8 {
        case baseline = 0xC0
        case extended = 0xC1
        case progressive = 0xC2
        case lossless = 0xC3
    }

    struct Component {
        let identifier: UInt8
        let horizontalSampling: Int
        let verticalSampling: Int
        let quantisationTable: Int
    }

    /// One scan with the tables that are in force where it begins.
    struct Scan {
        struct Component {
            /// Index into the frame's components.
            let index: Int
            let dcTable: Int
            let acTable: Int
        }

        let components: [Component]
        /// Ss: the predictor of lossless scans, the first coefficient of others.
        let spectralStart: Int
        let spectralEnd: Int
        let approximationHigh: Int
        /// Al: the point transform of lossless scans.
        let approximationLow: Int
        let restartInterval: Int
        let tables: JPEGTables
        /// Coded data with restart markers and stuffed bytes, up to the next marker.
        let data: Range<Int>
    }

    let process: Process
    /// From SOF or, where that says 0, from DNL.
    let rows: Int
    let columns: Int
    let precision: Int
    let components: [Component]
    let scans: [Scan]
    /// The colour transform of an Adobe APP14 segment: 0 none, 1 YCbCr, 2 YCCK.
    let adobeTransform: UInt8?
    let hasJFIF: Bool
    /// Where SOF's number of lines stands.
    let rowsOffset: Int
    /// Whether SOF left the number of lines to a DNL segment.
    let hasLateRows: Bool
    /// From SOI up to and with EOI, or all bytes where that is missing.
    let byteCount: Int

    /// Refuses a sound stream that is another image than `format` says.
    func check(against format: PixelFormat) throws(CodecError) {
        guard rows == format.rows, columns == format.columns else {
            throw CodecError(
                .mismatch,
                "the JPEG stream has \(rows) x \(columns) pixels, its format \(format.rows) x \(format.columns)"
            )
        }
        guard components.count == format.samplesPerPixel else {
            throw CodecError(
                .mismatch,
                "the JPEG stream has \(components.count) components, its format \(format.samplesPerPixel)"
            )
        }
        guard format.bitsAllocated == 8 || format.bitsAllocated == 16 else {
            throw CodecError(.unsupported, "JPEG in \(format.bitsAllocated) bits allocated: only 8 and 16 are decoded")
        }
        guard precision <= format.bitsAllocated else {
            throw CodecError(
                .mismatch,
                "the JPEG stream has \(precision) bits a sample, its format \(format.bitsAllocated) allocated"
            )
        }
    }

    /// Extends the sign of decoded samples of fewer bits than allocated from the stream's precision.
    ///
    /// That is where pydicom and DCMTK extend them when it equals Bits Stored; a precision below Bits Stored is left
    /// alone as there.
    func extendSigns(of frame: UnsafeMutableRawBufferPointer, _ format: PixelFormat) {
        guard format.isSigned, precision < format.bitsAllocated, precision >= format.bitsStored else { return }
        SampleLayout.extendSign(frame, precision: precision, sampleByteCount: format.sampleByteCount)
    }
}

/// Huffman and quantisation tables as DHT and DQT give them; four destinations of each kind.
struct JPEGTables {
    struct Huffman {
        /// Number of codes of 1 to 16 bits.
        let counts: [UInt8]
        let symbols: [UInt8]
    }

    var dc: [Huffman?] = [nil, nil, nil, nil]
    var ac: [Huffman?] = [nil, nil, nil, nil]
    /// In zigzag order.
    var quantisation: [[UInt16]?] = [nil, nil, nil, nil]
}
