// SPDX-License-Identifier: Apache-2.0

/// Sequential DCT decoding of 12-bit samples (ISO 10918-1 process 4).
///
/// The inverse transform is computed in single precision and rounded once, so that it is exact but for ties: other
/// decoders, whose integer transforms the standard allows some error, are at most one level away.
struct JPEGSequentialDecoder {
    private struct Component {
        let index: Int
        /// Blocks of it in an MCU.
        let across: Int
        let down: Int
        let dc: JPEGHuffmanTable
        let ac: JPEGHuffmanTable
        /// In zigzag order.
        let quantisation: [UInt16]
    }

    private static let tableByteCount = JPEGHuffmanTable.wordCount * MemoryLayout<UInt32>.stride

    /// Row by row offsets of the coefficients in zigzag order (figure A.6).
    private static let zigzag: [Int] = [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14,
        21,
        28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61,
        54, 47, 55, 62, 63,
    ]

    private let stream: JPEGStream
    private let bytes: UnsafeRawBufferPointer
    private let format: PixelFormat
    private let maximumHorizontal: Int
    private let maximumVertical: Int

    /// `stream` was checked against `format`.
    init(_ stream: JPEGStream, _ bytes: UnsafeRawBufferPointer, _ format: PixelFormat) throws(CodecError) {
        self.stream = stream
        self.bytes = bytes
        self.format = format
        let (horizontal, vertical) = (
            stream.components.map(\.horizontalSampling).max() ?? 1, stream.components.map(\.verticalSampling).max() ?? 1
        )
        (maximumHorizontal, maximumVertical) = (horizontal, vertical)
        let isEven = stream.components.allSatisfy {
            horizontal % $0.horizontalSampling == 0 && vertical % $0.verticalSampling == 0
        }
        guard isEven else { throw CodecError(.unsupported, "12-bit JPEG with components subsampled by a fraction") }
        guard format.sampleByteCount == 2 else {
            throw CodecError(.mismatch, "12-bit JPEG in \(format.bitsAllocated) bits allocated")
        }
        let seen = stream.scans.flatMap { $0.components.map(\.index) }
        guard seen.sorted() == Array(stream.components.indices) else {
            throw CodecError(.corruptStream, "a damaged JPEG stream: its scans do not hold each component once")
        }
    }

    func decode(
        into destination: UnsafeMutableRawBufferPointer,
        convertsToRGB: Bool,
        _ scratch: CodecScratch
    ) throws(CodecError) {
        let targets = try nativePlanes(destination)
        var planes = targets
        // Planes of subsampled components, until they are enlarged.
        var buffers: [ScratchBuffer] = []
        for (index, component) in stream.components.enumerated() {
            let (across, down) = factors(of: component)
            guard across > 1 || down > 1 else { continue }
            let (rows, columns) = ((format.rows + down - 1) / down, (format.columns + across - 1) / across)
            let buffer = ScratchBuffer()
            guard let start = try buffer.reserve(rows * columns * 2).baseAddress else { continue }
            buffers.append(buffer)
            planes[index] = JPEGSamplePlane(
                start: start,
                rows: rows,
                columns: columns,
                rowStride: columns,
                columnStride: 1
            )
        }
        for scan in stream.scans { try decode(scan, into: planes, scratch) }
        withExtendedLifetime(buffers) {
            for (index, component) in stream.components.enumerated() {
                let (across, down) = factors(of: component)
                if across > 1 || down > 1 { planes[index].enlarge(across, down, to: targets[index]) }
            }
        }
        if convertsToRGB { JPEGSamplePlane.convertToRGB(targets, precision: stream.precision) }
    }

    private func factors(of component: JPEGStream.Component) -> (across: Int, down: Int) {
        (maximumHorizontal / component.horizontalSampling, maximumVertical / component.verticalSampling)
    }

    private func nativePlanes(_ frame: UnsafeMutableRawBufferPointer) throws(CodecError) -> [JPEGSamplePlane] {
        guard let start = frame.baseAddress else { throw CodecError(.outOfMemory, "a frame without memory") }
        let columnStride = format.hasPlanes ? 1 : format.samplesPerPixel
        return stream.components.indices.map { index in
            JPEGSamplePlane(
                start: start + index * (format.hasPlanes ? format.pixelCount : 1) * 2,
                rows: format.rows,
                columns: format.columns,
                rowStride: format.columns * columnStride,
                columnStride: columnStride
            )
        }
    }

    private func decode(
        _ scan: JPEGStream.Scan,
        into planes: [JPEGSamplePlane],
        _ scratch: CodecScratch
    ) throws(CodecError) {
        // A lone component has its own blocks only, else an MCU has some of each (A.2).
        let lone = scan.components.count == 1 ? planes[scan.components[0].index] : nil
        let (width, height) = (8 * maximumHorizontal, 8 * maximumVertical)
        let unitColumns = lone.map { ($0.columns + 7) / 8 } ?? (format.columns + width - 1) / width
        let unitRows = lone.map { ($0.rows + 7) / 8 } ?? (format.rows + height - 1) / height
        let unitCount = unitColumns * unitRows
        let unitsPerInterval = scan.restartInterval == 0 ? unitCount : scan.restartInterval
        let data = try JPEGCodedData(
            bytes,
            scan.data,
            maximumIntervalCount: (unitCount + unitsPerInterval - 1) / unitsPerInterval,
            into: scratch.stream
        )
        let memory = try scratch.layout.reserve(2 * scan.components.count * Self.tableByteCount)
        let components = try makeComponents(of: scan, at: memory)
        var unit = 0
        for interval in data.intervals where unit < unitCount {
            var reader = JPEGBitReader(data, interval)
            var predictions = Array(repeating: Float(0), count: components.count)
            let end = min(unitCount, unit + unitsPerInterval)
            while unit < end {
                let (unitRow, unitColumn) = unit.quotientAndRemainder(dividingBy: unitColumns)
                for (index, component) in components.enumerated() {
                    for block in 0..<component.across * component.down {
                        let row = unitRow * component.down + block / component.across
                        let column = unitColumn * component.across + block % component.across
                        let isWhole = decodeBlock(&reader, component, &predictions[index]) { coefficients, hasDetail in
                            InverseDCT.run(coefficients, hasDetail: hasDetail)
                            store(coefficients, row * 8, column * 8, into: planes[component.index])
                        }
                        guard isWhole, !reader.isOverrun else {
                            throw CodecError(
                                .corruptStream,
                                "a damaged JPEG stream: its coded data end or break in MCU \(unit) of \(unitCount)"
                            )
                        }
                    }
                }
                unit += 1
            }
        }
        guard unit == unitCount else {
            throw CodecError(
                .corruptStream,
                "a damaged JPEG stream: its coded data end after MCU \(unit) of \(unitCount)"
            )
        }
    }

    private func makeComponents(
        of scan: JPEGStream.Scan,
        at memory: UnsafeMutableRawBufferPointer
    ) throws(CodecError) -> [Component] {
        guard let words = memory.bindMemory(to: UInt32.self).baseAddress else {
            throw CodecError(.outOfMemory, "no memory for a JPEG scan")
        }
        var components: [Component] = []
        for component in scan.components {
            guard let dc = scan.tables.dc[component.dcTable], let ac = scan.tables.ac[component.acTable],
                let quantisation = scan.tables.quantisation[stream.components[component.index].quantisationTable],
                dc.symbols.allSatisfy({ $0 <= 15 })
            else { throw CodecError(.corruptStream, "a damaged JPEG stream: a scan lacks one of its tables") }
            let start = words + 2 * components.count * JPEGHuffmanTable.wordCount
            components.append(
                Component(
                    index: component.index,
                    across: scan.components.count == 1 ? 1 : stream.components[component.index].horizontalSampling,
                    down: scan.components.count == 1 ? 1 : stream.components[component.index].verticalSampling,
                    dc: JPEGHuffmanTable(dc, at: start, hasValues: false),
                    ac: JPEGHuffmanTable(ac, at: start + JPEGHuffmanTable.wordCount, hasValues: false),
                    quantisation: quantisation
                )
            )
        }
        return components
    }

    // MARK: - Blocks

    /// Decodes the coefficients of one block (F.2.2) and hands them, dequantised, to `use`.
    @inline(__always)
    private func decodeBlock(
        _ reader: inout JPEGBitReader,
        _ component: Component,
        _ prediction: inout Float,
        use: (UnsafeMutableBufferPointer<Float>, Bool) -> Void
    ) -> Bool {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 64) { coefficients in
            coefficients.initialize(repeating: 0)
            reader.refill()
            guard let category = component.dc.symbol(&reader) else { return false }
            prediction += Float(Self.value(&reader, category))
            coefficients[0] = prediction * Float(component.quantisation[0])
            var position = 1
            while position < 64 {
                reader.refill()
                guard let symbol = component.ac.symbol(&reader) else { return false }
                let (run, category) = (symbol >> 4, symbol & 15)
                if category == 0 {
                    guard run == 15 else { break }
                    position += 16
                    continue
                }
                position += run
                guard position < 64 else { return false }
                let value = Float(Self.value(&reader, category))
                coefficients[Self.zigzag[position]] = value * Float(component.quantisation[position])
                position += 1
            }
            use(coefficients, position > 1)
            return true
        }
    }

    /// The `bitCount` bits behind a symbol as a signed number.
    @inline(__always)
    private static func value(_ reader: inout JPEGBitReader, _ bitCount: Int) -> Int32 {
        guard bitCount > 0 else { return 0 }
        let bits = UInt32(truncatingIfNeeded: reader.bits &>> UInt64(64 &- bitCount))
        reader.consume(bitCount)
        return JPEGHuffmanTable.extend(bits, bitCount)
    }

    /// Shifts levels (A.3.1), clamps, and writes what of the block lies within the plane.
    private func store(
        _ samples: UnsafeMutableBufferPointer<Float>,
        _ firstRow: Int,
        _ firstColumn: Int,
        into plane: JPEGSamplePlane
    ) {
        let middle = Float(1 << (stream.precision - 1))
        let top = Float((1 << stream.precision) - 1)
        for row in 0..<max(0, min(8, plane.rows - firstRow)) {
            for column in 0..<max(0, min(8, plane.columns - firstColumn)) {
                let level = (samples[row * 8 + column] + middle).rounded()
                plane.store(UInt16(max(0, min(top, level))), row: firstRow + row, column: firstColumn + column)
            }
        }
    }
}
