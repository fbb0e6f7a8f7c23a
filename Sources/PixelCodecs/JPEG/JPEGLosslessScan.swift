// SPDX-License-Identifier: Apache-2.0

/// Decodes one scan of a lossless frame, row by row, into the native frame.
///
/// Two rows of 16-bit samples are kept apart from the frame: predictions are of the samples as coded, before the point
/// transform and whatever width the frame has.
struct JPEGLosslessScan {
    private let format: PixelFormat
    private let columns: Int
    private let components: [Int]
    /// Whether a row of the scan is a row of the frame.
    private let isNativeOrder: Bool
    private let predictor: Int
    private let pointTransform: Int
    private let firstPrediction: Int32
    private let rowsPerInterval: Int
    private let data: JPEGCodedData
    private let tables: [JPEGHuffmanTable]
    private let lines: UnsafeMutablePointer<UInt16>

    /// `scan` was checked against `format`; `scratch` is in use until the scan is decoded.
    init(
        _ stream: JPEGStream,
        _ scan: JPEGStream.Scan,
        _ bytes: UnsafeRawBufferPointer,
        _ format: PixelFormat,
        _ scratch: CodecScratch
    ) throws(CodecError) {
        self.format = format
        columns = stream.columns
        components = scan.components.map(\.index)
        isNativeOrder = !format.hasPlanes && components == Array(0..<format.samplesPerPixel)
        predictor = scan.spectralStart
        pointTransform = scan.approximationLow
        firstPrediction = 1 << Int32(stream.precision - scan.approximationLow - 1)
        rowsPerInterval = scan.restartInterval == 0 ? stream.rows : scan.restartInterval / stream.columns
        let intervalCount = (stream.rows + rowsPerInterval - 1) / rowsPerInterval
        data = try JPEGCodedData(bytes, scan.data, maximumIntervalCount: intervalCount, into: scratch.stream)

        let lineCount = 2 * columns * components.count
        let tableByteCount = JPEGHuffmanTable.wordCount * MemoryLayout<UInt32>.stride
        let memory = try scratch.layout.reserve(
            components.count * tableByteCount + lineCount * MemoryLayout<UInt16>.stride
        )
        let words = memory.bindMemory(to: UInt32.self)
        guard let firstWord = words.baseAddress, let firstByte = memory.baseAddress else {
            throw CodecError(.outOfMemory, "no memory for a JPEG scan")
        }
        var tables: [JPEGHuffmanTable] = []
        for component in scan.components {
            guard let source = scan.tables.dc[component.dcTable] else {
                throw CodecError(.corruptStream, "JPEG lossless without a table for its differences")
            }
            let words = firstWord + tables.count * JPEGHuffmanTable.wordCount
            tables.append(JPEGHuffmanTable(source, at: words, hasValues: true))
        }
        self.tables = tables
        lines = (firstByte + components.count * tableByteCount).bindMemory(to: UInt16.self, capacity: lineCount)
    }

    func decode(into destination: UnsafeMutableRawBufferPointer) throws(CodecError) {
        let lineCount = columns * components.count
        var (line, above) = (lines, lines + lineCount)
        var row = 0
        for interval in data.intervals where row < format.rows {
            var reader = JPEGBitReader(data, interval)
            let end = min(format.rows, row + rowsPerInterval)
            for index in row..<end {
                let isWhole = index == row ? decodeFirst(&reader, line) : decode(&reader, line, above)
                guard isWhole, !reader.isOverrun else {
                    throw CodecError(
                        .corruptStream,
                        "a damaged JPEG stream: its coded data end or break in row \(index + 1) of \(format.rows)"
                    )
                }
                store(line, row: index, into: destination)
                swap(&line, &above)
            }
            // Damaged bits seldom leave a wrong code, but nearly always too many or too few of them.
            guard !reader.hasSurplus else {
                throw CodecError(
                    .corruptStream,
                    "a damaged JPEG stream: coded data are left over behind row \(end) of \(format.rows)"
                )
            }
            row = end
        }
        guard row == format.rows else {
            throw CodecError(
                .corruptStream,
                "a damaged JPEG stream: its coded data end after row \(row) of \(format.rows)"
            )
        }
    }

    // MARK: - Rows

    /// The first row of the scan and after each restart is predicted from the left (H.1.2.1).
    private func decodeFirst(_ reader: inout JPEGBitReader, _ line: UnsafeMutablePointer<UInt16>) -> Bool {
        var isBroken = false
        let count = components.count
        for (index, table) in tables.enumerated() {
            line[index] = UInt16(
                truncatingIfNeeded: firstPrediction &+ table.difference(&reader, isBroken: &isBroken)
            )
        }
        for offset in count..<max(count, columns * count) {
            let left = Int32(line[offset &- count])
            let difference = tables[offset % count].difference(&reader, isBroken: &isBroken)
            line[offset] = UInt16(truncatingIfNeeded: left &+ difference)
        }
        return !isBroken
    }

    private func decode(
        _ reader: inout JPEGBitReader,
        _ line: UnsafeMutablePointer<UInt16>,
        _ above: UnsafeMutablePointer<UInt16>
    ) -> Bool {
        // Closures that the optimiser folds into seven loops (table H.1).
        switch predictor {
        case 1: return decode(&reader, line, above) { left, _, _ in left }
        case 2: return decode(&reader, line, above) { _, up, _ in up }
        case 3: return decode(&reader, line, above) { _, _, diagonal in diagonal }
        case 4: return decode(&reader, line, above) { left, up, diagonal in left &+ up &- diagonal }
        case 5: return decode(&reader, line, above) { left, up, diagonal in left &+ ((up &- diagonal) &>> 1) }
        case 6: return decode(&reader, line, above) { left, up, diagonal in up &+ ((left &- diagonal) &>> 1) }
        default: return decode(&reader, line, above) { left, up, _ in (left &+ up) &>> 1 }
        }
    }

    @inline(__always)
    private func decode(
        _ shared: inout JPEGBitReader,
        _ line: UnsafeMutablePointer<UInt16>,
        _ above: UnsafeMutablePointer<UInt16>,
        predict: (Int32, Int32, Int32) -> Int32
    ) -> Bool {
        // A local copy stays in registers.
        var reader = shared
        defer { shared = reader }
        var isBroken = false
        let count = components.count
        if count == 1 {
            let table = tables[0]
            var diagonal = Int32(above[0])
            line[0] = UInt16(truncatingIfNeeded: diagonal &+ table.difference(&reader, isBroken: &isBroken))
            var left = Int32(line[0])
            for offset in 1..<max(1, columns) {
                let up = Int32(above[offset])
                let difference = table.difference(&reader, isBroken: &isBroken)
                let sample = UInt16(truncatingIfNeeded: predict(left, up, diagonal) &+ difference)
                line[offset] = sample
                left = Int32(sample)
                diagonal = up
            }
            return !isBroken
        }
        tables.withUnsafeBufferPointer { tables in
            for index in 0..<count {
                let difference = tables[index].difference(&reader, isBroken: &isBroken)
                line[index] = UInt16(truncatingIfNeeded: Int32(above[index]) &+ difference)
            }
            for start in stride(from: count, to: columns &* count, by: count) {
                for index in 0..<count {
                    let offset = start &+ index
                    let difference = tables[index].difference(&reader, isBroken: &isBroken)
                    let prediction = predict(
                        Int32(line[offset &- count]),
                        Int32(above[offset]),
                        Int32(above[offset &- count])
                    )
                    line[offset] = UInt16(truncatingIfNeeded: prediction &+ difference)
                }
            }
        }
        return !isBroken
    }

    // MARK: - The native frame

    private func store(
        _ line: UnsafeMutablePointer<UInt16>,
        row: Int,
        into destination: UnsafeMutableRawBufferPointer
    ) {
        let count = components.count
        if isNativeOrder {
            store(line, step: 1, count: columns * count, into: destination, at: row * columns * count, stride: 1)
            return
        }
        for (index, component) in components.enumerated() {
            store(
                line + index,
                step: count,
                count: columns,
                into: destination,
                at: format.hasPlanes
                    ? component * format.pixelCount + row * columns
                    : row * columns * format.samplesPerPixel + component,
                stride: format.hasPlanes ? 1 : format.samplesPerPixel
            )
        }
    }

    private func store(
        _ line: UnsafeMutablePointer<UInt16>,
        step: Int,
        count: Int,
        into destination: UnsafeMutableRawBufferPointer,
        at first: Int,
        stride: Int
    ) {
        if format.sampleByteCount == 1 {
            for index in 0..<count {
                let sample = UInt8(truncatingIfNeeded: line[index &* step] &<< UInt16(pointTransform))
                destination.storeBytes(of: sample, toByteOffset: first &+ index &* stride, as: UInt8.self)
            }
        } else {
            for index in 0..<count {
                let sample = line[index &* step] &<< UInt16(pointTransform)
                destination.storeBytes(of: sample, toByteOffset: (first &+ index &* stride) &* 2, as: UInt16.self)
            }
        }
    }
}
