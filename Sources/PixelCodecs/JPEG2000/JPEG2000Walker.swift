// SPDX-License-Identifier: Apache-2.0

/// Reads markers in order; all reads are checked.
struct JPEG2000Walker {
    struct Size {
        var rows = 0
        var columns = 0
        var componentCount = 0
        var precision = 0
        var isSigned = false
        var tileCount = 0
    }

    private(set) var tileParts = TilePartCounts()
    private var reader: BigEndianReader
    private var size = Size()

    init(_ bytes: UnsafeRawBufferPointer) { reader = BigEndianReader(bytes, name: "JPEG 2000") }

    mutating func walk() throws(CodecError) -> Size {
        guard try reader.read(2) == 0xFF4F, try reader.read(2) == 0xFF51 else {
            throw reader.corrupt("it does not begin with SOC and SIZ")
        }
        try readSize()
        while true {
            let start = reader.offset
            let marker = try reader.read(2)
            if marker == 0xFF90 {
                try walkTileParts(from: start)
                return size
            }
            try readSegment(marker)
        }
    }

    private mutating func readSize() throws(CodecError) {
        let byteCount = try reader.read(2)
        _ = try reader.read(2)
        let (right, bottom) = (try reader.read(4), try reader.read(4))
        let (left, top) = (try reader.read(4), try reader.read(4))
        let (tileWidth, tileHeight) = (try reader.read(4), try reader.read(4))
        let (tileLeft, tileTop) = (try reader.read(4), try reader.read(4))
        size.componentCount = try reader.read(2)
        guard byteCount == 38 + 3 * size.componentCount else { throw reader.corrupt("SIZ has the wrong length") }
        guard left < right, top < bottom, tileWidth > 0, tileHeight > 0, tileLeft <= left, tileTop <= top,
            tileLeft + tileWidth > left, tileTop + tileHeight > top
        else { throw reader.corrupt("SIZ has an empty image or tile") }
        size.columns = right - left
        size.rows = bottom - top
        guard size.columns <= CodecLimits.maximumDimension, size.rows <= CodecLimits.maximumDimension,
            size.columns * size.rows * size.componentCount <= CodecLimits.maximumFrameByteCount
        else {
            throw CodecError(
                .limitExceeded,
                "JPEG 2000 with \(size.rows) x \(size.columns) pixels of \(size.componentCount) components"
            )
        }
        let tilesAcross = (right - tileLeft + tileWidth - 1) / tileWidth
        let tilesDown = (bottom - tileTop + tileHeight - 1) / tileHeight
        guard tilesAcross <= CodecLimits.maximumTileCount, tilesDown <= CodecLimits.maximumTileCount,
            tilesAcross * tilesDown <= CodecLimits.maximumTileCount
        else { throw CodecError(.limitExceeded, "JPEG 2000 with \(tilesAcross) x \(tilesDown) tiles") }
        size.tileCount = tilesAcross * tilesDown
        guard (1...4).contains(size.componentCount) else {
            throw CodecError(.unsupported, "JPEG 2000 with \(size.componentCount) components")
        }
        try readComponents()
    }

    private mutating func readComponents() throws(CodecError) {
        for component in 0..<size.componentCount {
            let depth = try reader.read(1)
            let precision = (depth & 0x7F) + 1
            let isSigned = depth & 0x80 != 0
            guard precision <= 31 else { throw CodecError(.unsupported, "JPEG 2000 with \(precision) bits a sample") }
            if component == 0 { (size.precision, size.isSigned) = (precision, isSigned) }
            guard precision == size.precision, isSigned == size.isSigned else {
                throw CodecError(.unsupported, "JPEG 2000 with components of different precision")
            }
            guard try reader.read(2) == 0x0101 else {
                throw CodecError(.unsupported, "JPEG 2000 with subsampled components")
            }
        }
    }

    /// Follows SOT to SOT by their lengths.
    ///
    /// A part that claims more than is there is refused: OpenJPEG would make room for what it claims.
    private mutating func walkTileParts(from first: Int) throws(CodecError) {
        tileParts = TilePartCounts(tileCount: size.tileCount)
        var start = first
        var isLast = false
        while !isLast {
            reader.offset = start + 2
            guard try reader.read(2) == 10 else { throw reader.corrupt("SOT has the wrong length") }
            let tile = try reader.read(2)
            let byteCount = try reader.read(4)
            let part = try reader.read(1)
            let declared = try reader.read(1)
            guard tileParts.count(tile: tile, part: part, declared: declared, at: start) else {
                throw reader.corrupt("tile-part \(part) of tile \(tile) is out of order")
            }
            while true {
                let marker = try reader.read(2)
                if marker == 0xFF93 { break }
                try readSegment(marker)
            }
            if byteCount == 0 {  // It reaches to EOC, and only EOC tells that it is whole.
                guard reader.endsWithEndOfCodestream else { throw reader.corrupt("the last tile-part is cut short") }
                break
            }
            guard byteCount <= reader.count - start else { throw reader.corrupt("a tile-part is cut short") }
            guard byteCount >= reader.offset - start else { throw reader.corrupt("a tile-part ends in its header") }
            start += byteCount
            reader.offset = start
            let marker = reader.count - start >= 2 ? try reader.read(2) : 0
            isLast = marker != 0xFF90
            // Where the tiles' numbers of parts are known, the parts found tell that none is missing.
            guard !isLast || marker == 0xFFD9 || tileParts.areAllDeclared else {
                throw reader.corrupt("EOC is missing")
            }
        }
        guard tileParts.areComplete else { throw reader.corrupt("tiles or tile-parts are missing") }
    }

    private mutating func readSegment(_ marker: Int) throws(CodecError) {
        // CAP (FF50, in high-throughput streams) to the Part 2 markers; SIZ came first and only once.
        guard (0xFF50...0xFF8F).contains(marker), marker != 0xFF51 else {
            throw reader.corrupt("marker \(marker) does not belong in a header")
        }
        let start = reader.offset
        let byteCount = try reader.read(2)
        guard byteCount >= 2, byteCount <= reader.count - start else {
            throw reader.corrupt("a segment's length is wrong")
        }
        if marker == 0xFF52 {  // COD
            let style = try reader.read(1)
            _ = try reader.read(1)
            let layers = try reader.read(2)
            guard (1...CodecLimits.maximumLayerCount).contains(layers) else {
                throw CodecError(.limitExceeded, "JPEG 2000 with \(layers) quality layers")
            }
            _ = try reader.read(1)
            try checkPrecincts(hasSizes: style & 1 != 0)
        } else if marker == 0xFF53 {  // COC
            _ = try reader.read(1)
            try checkPrecincts(hasSizes: try reader.read(1) & 1 != 0)
        }
        reader.offset = start + byteCount
    }

    /// Counts precincts as if this coding style held for the whole image.
    private mutating func checkPrecincts(hasSizes: Bool) throws(CodecError) {
        let levels = try reader.read(1)
        guard levels <= 32 else { throw reader.corrupt("it has \(levels) decomposition levels") }
        _ = try reader.read(4)
        var count = 0
        for resolution in 0...levels {
            let exponents = hasSizes ? try reader.read(1) : 0xFF
            let shift = levels - resolution
            let across = (size.columns >> (shift + (exponents & 15))) + 1
            let down = (size.rows >> (shift + (exponents >> 4))) + 1
            count += max(across * down, size.tileCount) * size.componentCount
        }
        guard count <= CodecLimits.maximumPrecinctCount else {
            throw CodecError(.limitExceeded, "JPEG 2000 with \(count) precincts")
        }
    }
}

/// Big-endian integers with every read checked.
struct BigEndianReader {
    private let bytes: UnsafeRawBufferPointer
    private let name: String
    var offset = 0

    init(_ bytes: UnsafeRawBufferPointer, name: String) {
        self.bytes = bytes
        self.name = name
    }

    var count: Int { bytes.count }

    /// An unsigned integer of `byteCount` bytes; one that passes an `Int` comes back as its largest value.
    mutating func read(_ byteCount: Int) throws(CodecError) -> Int {
        guard offset >= 0, byteCount <= bytes.count - offset else { throw corrupt("it ends early") }
        var value = UInt64(0)
        for index in offset..<offset + byteCount { value = value << 8 | UInt64(bytes[index]) }
        offset += byteCount
        return Int(clamping: value)
    }

    /// Whether EOC (FFD9) comes last, but for the zeros that pad a frame.
    var endsWithEndOfCodestream: Bool {
        guard let last = bytes.lastIndex(where: { $0 != 0 }), last > 0 else { return false }
        return bytes[last - 1] == 0xFF && bytes[last] == 0xD9
    }

    func corrupt(_ what: String) -> CodecError {
        CodecError(.corruptStream, "a damaged \(name) stream: \(what) (byte \(offset) of \(bytes.count))")
    }
}
