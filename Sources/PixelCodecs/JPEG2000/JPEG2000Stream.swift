// SPDX-License-Identifier: Apache-2.0

/// The skeleton of a JPEG 2000 codestream (ISO 15444-1, annex A), read before OpenJPEG may see it.
///
/// OpenJPEG allocates for every tile and precinct that the headers name, so a stream of a hundred bytes can ask for
/// gigabytes: dimensions, tiles, layers and precincts are capped here, in the main header and in each tile-part's. And
/// it takes tiles and tile-parts that are missing for empty ones, so they are counted here.
struct JPEG2000Stream {
    let rows: Int
    let columns: Int
    let componentCount: Int
    /// Bits a sample, 1 to 31.
    let precision: Int
    let isSigned: Bool
    /// Where the codestream lies in the bytes given: a JP2 container around it is stepped over.
    let range: Range<Int>
    /// SOT segments with a wrong number of tile-parts, and the right one.
    private let miscounts: [(start: Int, count: Int)]

    /// Refuses a sound stream that is another image than `format` says.
    func check(against format: PixelFormat) throws(CodecError) {
        guard rows == format.rows, columns == format.columns else {
            throw CodecError(
                .mismatch,
                "the JPEG 2000 stream has \(rows) x \(columns) pixels, its format \(format.rows) x \(format.columns)"
            )
        }
        guard componentCount == format.samplesPerPixel else {
            throw CodecError(
                .mismatch,
                "the JPEG 2000 stream has \(componentCount) components, its format \(format.samplesPerPixel)"
            )
        }
        guard precision <= format.bitsAllocated else {
            throw CodecError(
                .mismatch,
                "the JPEG 2000 stream has \(precision) bits a sample, its format \(format.bitsAllocated) allocated"
            )
        }
    }

    init(walking bytes: UnsafeRawBufferPointer) throws(CodecError) {
        let range = try Self.codestream(in: bytes)
        var walker = JPEG2000Walker(UnsafeRawBufferPointer(rebasing: bytes[range]))
        let size = try walker.walk()
        self.rows = size.rows
        self.columns = size.columns
        self.componentCount = size.componentCount
        self.precision = size.precision
        self.isSigned = size.isSigned
        self.range = range
        self.miscounts = walker.tileParts.miscounts
    }

    /// The codestream among `bytes` with the right number of tile-parts in each SOT, or nil where `bytes` are right.
    ///
    /// Some writers count one too few. A strict OpenJPEG leaves a tile's further parts out and says nothing.
    func corrected(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        guard !miscounts.isEmpty else { return nil }
        var codestream = Array(bytes[range])
        for (start, count) in miscounts { codestream[start + 11] = UInt8(count) }
        return codestream
    }

    /// DICOM wants bare codestreams; some writers leave the JP2 boxes around them.
    private static func codestream(in bytes: UnsafeRawBufferPointer) throws(CodecError) -> Range<Int> {
        var reader = BigEndianReader(bytes, name: "JPEG 2000")
        guard bytes.count >= 12, try reader.read(4) == 12, try reader.read(4) == 0x6A50_2020 else {
            return 0..<bytes.count
        }
        reader.offset = 12
        while true {
            let start = reader.offset
            var byteCount = try reader.read(4)
            let type = try reader.read(4)
            if byteCount == 1 { byteCount = try reader.read(8) }
            if byteCount == 0 { byteCount = bytes.count - start }
            guard byteCount >= reader.offset - start, byteCount <= bytes.count - start else {
                throw reader.corrupt("a box's length is wrong")
            }
            if type == 0x6A70_3263 { return reader.offset..<(start + byteCount) }  // jp2c
            reader.offset = start + byteCount
        }
    }
}
