// SPDX-License-Identifier: Apache-2.0

extension JPEGStream {
    /// Walks all marker segments of `bytes` (ISO 10918-1, annex B).
    init(walking bytes: UnsafeRawBufferPointer) throws(CodecError) {
        var reader = JPEGStreamReader(bytes)
        self = try reader.walk()
    }
}

/// Reads marker segments in order; all reads are checked.
private struct JPEGStreamReader: MarkerReading {
    static let streamName = "JPEG"

    private typealias Frame = (
        process: JPEGStream.Process, rows: Int, columns: Int, precision: Int, components: [JPEGStream.Component],
        rowsOffset: Int
    )

    private static let maximumScanCount = 64

    let bytes: UnsafeRawBufferPointer
    var offset = 0
    private var frame: Frame?
    private var lateRows: Int?
    private var tables = JPEGTables()
    private var restartInterval = 0
    private var scans: [JPEGStream.Scan] = []
    private var adobeTransform: UInt8?
    private var hasJFIF = false

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func walk() throws(CodecError) -> JPEGStream {
        guard try readUInt16() == 0xFFD8 else { throw corrupt("it does not begin with SOI") }
        while true {
            // Cut off behind a scan: what is missing is EOI alone, or the scan's decoder misses its data.
            if !scans.isEmpty, offset + 1 >= bytes.count {
                // Nothing else tells that a progressive stream lacks its last scans.
                guard frame?.process != .progressive else { throw corrupt("it has no EOI") }
                return try finish(at: bytes.count)
            }
            // Behind the last scan of a sequential frame nothing can follow that would change the image but DNL.
            if isComplete, bytes[offset] != 0xFF { return try finish(at: offset) }
            let marker = try readMarker()
            switch marker {
            case 0xD9: return try finish(at: offset)
            case 0x01, 0xD0...0xD7: continue
            case 0xD8:
                // A second image: a thumbnail or another frame, and not ours.
                if isComplete { return try finish(at: offset - 2) }
                throw corrupt("it has a second SOI")
            default: try readSegment(marker)
            }
        }
    }

    private var isComplete: Bool {
        guard let frame, frame.process != .progressive else { return false }
        return scans.reduce(0) { $0 + $1.components.count } >= frame.components.count
    }

    private mutating func readSegment(_ marker: UInt8) throws(CodecError) {
        let byteCount = Int(try readUInt16()) - 2
        guard byteCount >= 0, byteCount <= bytes.count - offset else { throw corrupt("a segment's length is wrong") }
        let end = offset + byteCount
        switch marker {
        case 0xC0...0xC3: try readStartOfFrame(marker, byteCount: byteCount)
        case 0xC4: try readHuffmanTables(end: end)
        case 0xDB: try readQuantisationTables(end: end)
        case 0xDD:
            guard byteCount == 2 else { throw corrupt("DRI has the wrong length") }
            restartInterval = Int(try readUInt16())
        case 0xDC:
            guard byteCount == 2, !scans.isEmpty else { throw corrupt("DNL is out of place") }
            let rows = Int(try readUInt16())
            if lateRows == nil { lateRows = rows }
        case 0xDA:
            try readStartOfScan(byteCount: byteCount)
            return
        case 0xE0: hasJFIF = hasJFIF || (byteCount >= 5 && text(4) == [0x4A, 0x46, 0x49, 0x46])
        case 0xEE:
            if byteCount >= 12, text(5) == [0x41, 0x64, 0x6F, 0x62, 0x65] { adobeTransform = bytes[offset + 11] }
        case 0xE1...0xEF, 0xFE: break
        case 0xF7, 0xF8: throw CodecError(.mismatch, "a JPEG-LS stream where another JPEG process is expected")
        case 0xC5...0xC7, 0xC9...0xCF, 0xDE, 0xDF:
            throw CodecError(.unsupported, "JPEG with arithmetic or hierarchical coding (marker \(marker))")
        default: throw corrupt("marker \(marker) does not belong in it")
        }
        offset = end
    }

    private mutating func readStartOfFrame(_ marker: UInt8, byteCount: Int) throws(CodecError) {
        guard frame == nil else { throw corrupt("it has two SOF segments") }
        guard byteCount >= 6, let process = JPEGStream.Process(rawValue: marker) else {
            throw corrupt("SOF is too short")
        }
        let precision = Int(try readByte())
        let rowsOffset = offset
        let rows = Int(try readUInt16())
        let columns = Int(try readUInt16())
        let count = Int(try readByte())
        guard byteCount == 6 + 3 * count else { throw corrupt("SOF has the wrong length") }
        guard (2...16).contains(precision), columns > 0, (1...4).contains(count) else {
            throw CodecError(
                .unsupported,
                "JPEG with \(rows) x \(columns) pixels, \(count) components of \(precision) bits"
            )
        }
        var components: [JPEGStream.Component] = []
        for _ in 0..<count {
            let identifier = try readByte()
            let sampling = try readByte()
            let (horizontal, vertical) = (Int(sampling >> 4), Int(sampling & 15))
            let table = Int(try readByte())
            guard (1...4).contains(horizontal), (1...4).contains(vertical), table < 4 else {
                throw corrupt("SOF has sampling factors \(horizontal) x \(vertical), table \(table)")
            }
            guard !components.contains(where: { $0.identifier == identifier }) else {
                throw corrupt("two components have one identifier")
            }
            components.append(
                JPEGStream.Component(
                    identifier: identifier,
                    horizontalSampling: horizontal,
                    verticalSampling: vertical,
                    quantisationTable: table
                )
            )
        }
        frame = (process, rows, columns, precision, components, rowsOffset)
    }

    private mutating func readStartOfScan(byteCount: Int) throws(CodecError) {
        guard let frame else { throw corrupt("SOS comes before SOF") }
        guard scans.count < Self.maximumScanCount else {
            throw CodecError(.limitExceeded, "JPEG with more than \(Self.maximumScanCount) scans")
        }
        let count = Int(try readByte())
        guard (1...4).contains(count), byteCount == 4 + 2 * count else { throw corrupt("SOS has the wrong length") }
        var components: [JPEGStream.Scan.Component] = []
        for _ in 0..<count {
            let identifier = try readByte()
            let selectors = try readByte()
            guard let index = frame.components.firstIndex(where: { $0.identifier == identifier }),
                !components.contains(where: { $0.index == index }), selectors >> 4 < 4, selectors & 15 < 4
            else { throw corrupt("SOS names components or tables that there are not") }
            components.append(
                JPEGStream.Scan.Component(index: index, dcTable: Int(selectors >> 4), acTable: Int(selectors & 15))
            )
        }
        let (start, end, approximation) = (Int(try readByte()), Int(try readByte()), try readByte())
        let dataStart = offset
        skipEntropyCodedData()
        scans.append(
            JPEGStream.Scan(
                components: components,
                spectralStart: start,
                spectralEnd: end,
                approximationHigh: Int(approximation >> 4),
                approximationLow: Int(approximation & 15),
                restartInterval: restartInterval,
                tables: tables,
                data: dataStart..<offset
            )
        )
    }

    private mutating func readHuffmanTables(end: Int) throws(CodecError) {
        while offset < end {
            guard end - offset >= 17 else { throw corrupt("DHT has the wrong length") }
            let selector = try readByte()
            let counts = Array(bytes[offset..<offset + 16])
            offset += 16
            let symbolCount = counts.reduce(0) { $0 + Int($1) }
            guard selector & 15 < 4, selector >> 4 < 2, symbolCount <= 256, symbolCount <= end - offset else {
                throw corrupt("DHT has \(symbolCount) symbols for table \(selector)")
            }
            // Every length must have room for its codes (C.2).
            var room = 1
            for count in counts {
                room = room * 2 - Int(count)
                guard room >= 0 else { throw corrupt("DHT has more codes than there is room for") }
            }
            let table = JPEGTables.Huffman(counts: counts, symbols: Array(bytes[offset..<offset + symbolCount]))
            offset += symbolCount
            if selector >> 4 == 0 {
                tables.dc[Int(selector & 15)] = table
            } else {
                tables.ac[Int(selector & 15)] = table
            }
        }
    }

    private mutating func readQuantisationTables(end: Int) throws(CodecError) {
        while offset < end {
            let selector = try readByte()
            let elementByteCount = Int(selector >> 4) + 1
            guard selector & 15 < 4, elementByteCount <= 2, end - offset >= 64 * elementByteCount else {
                throw corrupt("DQT has the wrong length or table \(selector)")
            }
            var table: [UInt16] = []
            for _ in 0..<64 {
                table.append(elementByteCount == 1 ? UInt16(try readByte()) : try readUInt16())
            }
            tables.quantisation[Int(selector & 15)] = table
        }
    }

    private func finish(at end: Int) throws(CodecError) -> JPEGStream {
        guard let frame, !scans.isEmpty else { throw corrupt("it ends before the first scan") }
        let rows = frame.rows > 0 ? frame.rows : lateRows ?? 0
        guard rows > 0 else { throw corrupt("it has no number of lines") }
        return JPEGStream(
            process: frame.process,
            rows: rows,
            columns: frame.columns,
            precision: frame.precision,
            components: frame.components,
            scans: scans,
            adobeTransform: adobeTransform,
            hasJFIF: hasJFIF,
            rowsOffset: frame.rowsOffset,
            hasLateRows: frame.rows == 0,
            byteCount: end
        )
    }

    /// Stops at the first FF of the next marker: FF 00 is a stuffed byte, FF D0 to FF D7 are restarts.
    private mutating func skipEntropyCodedData() {
        while offset < bytes.count {
            guard let found = bytes.firstOffset(of: 0xFF, from: offset) else { break }
            var next = found + 1
            while next < bytes.count, bytes[next] == 0xFF { next += 1 }
            guard next < bytes.count else { break }
            let code = bytes[next]
            if code != 0, !(0xD0...0xD7).contains(code) {
                offset = found
                return
            }
            offset = next + 1
        }
        offset = bytes.count
    }

    private func text(_ count: Int) -> [UInt8] { Array(bytes[offset..<offset + count]) }
}
