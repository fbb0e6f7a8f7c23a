// SPDX-License-Identifier: Apache-2.0

/// Sequential DCT decoding of 12-bit samples (ISO 10918-1 process 4), components not subsampled.
///
/// The inverse transform is computed in single precision and rounded once, so that it is exact but for ties: other
/// decoders, whose integer transforms the standard allows some error, are at most one level away.
struct JPEGSequentialDecoder {
    private struct Component {
        let index: Int
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
    private let blockColumns: Int
    private let blockRows: Int

    /// `stream` was checked against `format`.
    init(_ stream: JPEGStream, _ bytes: UnsafeRawBufferPointer, _ format: PixelFormat) throws(CodecError) {
        self.stream = stream
        self.bytes = bytes
        self.format = format
        blockColumns = (stream.columns + 7) / 8
        blockRows = (stream.rows + 7) / 8
        let isEven = stream.components.allSatisfy { $0.horizontalSampling == 1 && $0.verticalSampling == 1 }
        guard isEven || stream.components.count == 1 else {
            throw CodecError(.unsupported, "12-bit JPEG with subsampled components")
        }
        guard format.sampleByteCount == 2 else {
            throw CodecError(.mismatch, "12-bit JPEG in \(format.bitsAllocated) bits allocated")
        }
        let seen = stream.scans.flatMap { $0.components.map(\.index) }
        guard seen.sorted() == Array(stream.components.indices) else {
            throw CodecError(.corruptStream, "a damaged JPEG stream: its scans do not hold each component once")
        }
    }

    func decode(into destination: UnsafeMutableRawBufferPointer, _ scratch: CodecScratch) throws(CodecError) {
        for scan in stream.scans { try decode(scan, into: destination, scratch) }
    }

    private func decode(
        _ scan: JPEGStream.Scan,
        into destination: UnsafeMutableRawBufferPointer,
        _ scratch: CodecScratch
    ) throws(CodecError) {
        let blockCount = blockColumns * blockRows
        let blocksPerInterval = scan.restartInterval == 0 ? blockCount : scan.restartInterval
        let data = try JPEGCodedData(
            bytes,
            scan.data,
            maximumIntervalCount: (blockCount + blocksPerInterval - 1) / blocksPerInterval,
            into: scratch.stream
        )
        let memory = try scratch.layout.reserve(2 * scan.components.count * Self.tableByteCount)
        let components = try makeComponents(of: scan, at: memory)
        var block = 0
        for interval in data.intervals where block < blockCount {
            var reader = JPEGBitReader(data, interval)
            var predictions = Array(repeating: Float(0), count: components.count)
            let end = min(blockCount, block + blocksPerInterval)
            while block < end {
                for (index, component) in components.enumerated() {
                    let isWhole = decodeBlock(&reader, component, &predictions[index]) { coefficients, hasDetail in
                        let (row, column) = block.quotientAndRemainder(dividingBy: blockColumns)
                        InverseDCT.run(coefficients, hasDetail: hasDetail)
                        store(coefficients, component.index, row * 8, column * 8, into: destination)
                    }
                    guard isWhole, !reader.isOverrun else {
                        throw CodecError(
                            .corruptStream,
                            "a damaged JPEG stream: its coded data end or break in block \(block) of \(blockCount)"
                        )
                    }
                }
                block += 1
            }
        }
        guard block == blockCount else {
            throw CodecError(
                .corruptStream,
                "a damaged JPEG stream: its coded data end after block \(block) of \(blockCount)"
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

    /// Shifts levels (A.3.1), clamps, and writes what of the block lies within the frame.
    private func store(
        _ samples: UnsafeMutableBufferPointer<Float>,
        _ component: Int,
        _ firstRow: Int,
        _ firstColumn: Int,
        into destination: UnsafeMutableRawBufferPointer
    ) {
        let middle = Float(1 << (stream.precision - 1))
        let top = Float((1 << stream.precision) - 1)
        let rows = min(8, format.rows - firstRow)
        let columns = min(8, format.columns - firstColumn)
        let stride = format.hasPlanes ? 1 : format.samplesPerPixel
        for row in 0..<rows {
            let first = (firstRow + row) * format.columns + firstColumn
            let start = format.hasPlanes ? component * format.pixelCount + first : first * stride + component
            for column in 0..<columns {
                let level = (samples[row * 8 + column] + middle).rounded()
                let sample = UInt16(max(0, min(top, level)))
                destination.storeBytes(of: sample, toByteOffset: (start + column * stride) * 2, as: UInt16.self)
            }
        }
    }
}

/// The inverse discrete cosine transform of 8 by 8 coefficients (A.3.3), in place.
enum InverseDCT {
    /// C(u) / 2 · cos((2x + 1)uπ / 16), frequency by frequency.
    private static let basis: [Float] = {
        // cos(kπ / 16) for k of 0 to 8; the others follow by symmetry.
        let cosines: [Double] = [
            1, 0.980_785_280_403_230_4, 0.923_879_532_511_286_7, 0.831_469_612_302_545_2, 0.707_106_781_186_547_5,
            0.555_570_233_019_602_2, 0.382_683_432_365_089_8, 0.195_090_322_016_128_3, 0,
        ]
        func cosine(_ sixteenths: Int) -> Double {
            let angle = sixteenths % 32
            let half = angle > 16 ? 32 - angle : angle
            return half > 8 ? -cosines[16 - half] : cosines[half]
        }
        return (0..<64).map { index in
            let (frequency, place) = (index / 8, index % 8)
            let scale = frequency == 0 ? cosines[4] / 2 : 0.5
            return Float(scale * cosine((2 * place + 1) * frequency))
        }
    }()

    static func run(_ block: UnsafeMutableBufferPointer<Float>, hasDetail: Bool) {
        guard hasDetail else {
            let level = block[0] / 8
            for index in 0..<64 { block[index] = level }
            return
        }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 64) { rows in
            basis.withUnsafeBufferPointer { basis in
                // Rows of coefficients into rows of samples, then the columns the same way.
                for row in 0..<8 {
                    for place in 0..<8 { rows[row &* 8 &+ place] = 0 }
                    for frequency in 0..<8 {
                        let coefficient = block[row &* 8 &+ frequency]
                        for place in 0..<8 {
                            rows[row &* 8 &+ place] += coefficient * basis[frequency &* 8 &+ place]
                        }
                    }
                }
                for row in 0..<8 {
                    for place in 0..<8 { block[row &* 8 &+ place] = 0 }
                    for frequency in 0..<8 {
                        let factor = basis[frequency &* 8 &+ row]
                        for place in 0..<8 {
                            block[row &* 8 &+ place] += rows[frequency &* 8 &+ place] * factor
                        }
                    }
                }
            }
        }
    }
}
