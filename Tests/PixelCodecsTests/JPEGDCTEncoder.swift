// SPDX-License-Identifier: Apache-2.0

import Foundation

/// An encoder of sequential DCT JPEG for tests: plain, slow, all quantisation steps 1, so that a good decoder is at most
/// one level from what went in.
struct JPEGDCTEncoder {
    /// What the stream says of its colours.
    enum Marker {
        case none
        case jfif
        case adobe(UInt8)
    }

    var rows: Int
    var columns: Int
    var precision: Int
    var process: UInt8 = 0xC1
    /// Sampling factors by component; the planes of a component have rows and columns to match.
    var sampling: [(horizontal: Int, vertical: Int)] = [(1, 1)]
    var identifiers: [UInt8] = [1, 2, 3]
    var marker = Marker.none
    var isInterleaved = true
    /// MCUs between restarts; 0 for none.
    var restartInterval = 0
    var declaredRows: Int?
    var spectralEnd: UInt8 = 63
    var hasEnd = true

    private static let zigzag: [Int] = {
        // Along the diagonals, up and down in turn (figure A.6).
        (0..<15).flatMap { sum -> [Int] in
            let diagonal = (max(0, sum - 7)...min(sum, 7)).map { row in row * 8 + sum - row }
            return sum % 2 == 0 ? diagonal.reversed() : diagonal
        }
    }()

    /// Codes of 8 bits for end of block, 16 zeros, and every run with 1 to 14 bits.
    private static let acSymbols: [UInt8] =
        [0x00, 0xF0] + (0..<16).flatMap { run in (1...14).map { UInt8(run << 4 | $0) } }

    /// `planes` hold the samples of one component each, ceil(columns · h / h max) wide.
    func encode(_ planes: [[Int]]) -> [UInt8] {
        func word(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }
        var bytes: [UInt8] = [0xFF, 0xD8]
        switch marker {
        case .none: break
        case .jfif: bytes += [0xFF, 0xE0, 0, 16, 0x4A, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0]
        case .adobe(let transform):
            bytes += [0xFF, 0xEE, 0, 14, 0x41, 0x64, 0x6F, 0x62, 0x65, 0, 100, 0, 0, 0, 0, transform]
        }
        bytes += [0xFF, 0xDB] + word(67) + [0] + Array(repeating: 1, count: 64)
        bytes += [0xFF, process] + word(8 + 3 * planes.count) + [UInt8(precision)]
        bytes += word(declaredRows ?? rows) + word(columns) + [UInt8(planes.count)]
        for index in planes.indices {
            bytes += [identifiers[index], UInt8(sampling[index].horizontal << 4 | sampling[index].vertical), 0]
        }
        let dcCounts: [UInt8] = [0, 0, 0, 0, 16] + Array(repeating: 0, count: 11)
        bytes += [0xFF, 0xC4] + word(2 + 17 + 16) + [0x00] + dcCounts + Array(0...15)
        let acCounts: [UInt8] = Array(repeating: 0, count: 7) + [UInt8(Self.acSymbols.count)]
        bytes += [0xFF, 0xC4] + word(2 + 17 + Self.acSymbols.count) + [0x10] + acCounts
        bytes += Array(repeating: 0, count: 8) + Self.acSymbols
        if restartInterval > 0 { bytes += [0xFF, 0xDD, 0, 4] + word(restartInterval) }
        let scans = isInterleaved ? [Array(planes.indices)] : planes.indices.map { [$0] }
        for (number, scan) in scans.enumerated() {
            bytes += [0xFF, 0xDA] + word(6 + 2 * scan.count) + [UInt8(scan.count)]
            for index in scan { bytes += [identifiers[index], 0] }
            bytes += [0, spectralEnd, 0] + code(scan, planes)
            if number == 0, declaredRows == 0 { bytes += [0xFF, 0xDC, 0, 4] + word(rows) }
        }
        return hasEnd ? bytes + [0xFF, 0xD9] : bytes
    }

    private func code(_ scan: [Int], _ planes: [[Int]]) -> [UInt8] {
        let (maximumH, maximumV) = (sampling.map(\.horizontal).max() ?? 1, sampling.map(\.vertical).max() ?? 1)
        func width(_ index: Int) -> Int {
            (columns * sampling[index].horizontal + maximumH - 1) / maximumH
        }
        func height(_ index: Int) -> Int { (rows * sampling[index].vertical + maximumV - 1) / maximumV }
        let isLone = scan.count == 1
        let across = isLone ? (width(scan[0]) + 7) / 8 : (columns + 8 * maximumH - 1) / (8 * maximumH)
        let down = isLone ? (height(scan[0]) + 7) / 8 : (rows + 8 * maximumV - 1) / (8 * maximumV)
        var writer = BitWriter()
        var predictions = Array(repeating: 0, count: planes.count)
        for unit in 0..<across * down {
            if restartInterval > 0, unit > 0, unit % restartInterval == 0 {
                writer.restart(unit / restartInterval - 1)
                predictions = Array(repeating: 0, count: planes.count)
            }
            for index in scan {
                let (h, v) = isLone ? (1, 1) : sampling[index]
                for y in 0..<v {
                    for x in 0..<h {
                        let (row, column) = (((unit / across) * v + y) * 8, ((unit % across) * h + x) * 8)
                        let block = block(planes[index], width(index), height(index), row, column)
                        write(block, &predictions[index], &writer)
                    }
                }
            }
        }
        return writer.finish()
    }

    /// Coefficients of the block at `row` and `column`, in zigzag order; the plane's edge is repeated.
    private func block(_ plane: [Int], _ width: Int, _ height: Int, _ row: Int, _ column: Int) -> [Int] {
        var samples = Array(repeating: 0.0, count: 64)
        for index in 0..<64 {
            let (y, x) = (min(height - 1, row + index / 8), min(width - 1, column + index % 8))
            samples[index] = Double(plane[y * width + x] - (1 << (precision - 1)))
        }
        func cosine(_ place: Int, _ frequency: Int) -> Double {
            (frequency == 0 ? 0.5.squareRoot() : 1) / 2 * cos(Double((2 * place + 1) * frequency) * .pi / 16)
        }
        let table = (0..<64).map { cosine($0 % 8, $0 / 8) }
        var rows = Array(repeating: 0.0, count: 64)
        for y in 0..<8 {
            for v in 0..<8 { rows[y * 8 + v] = (0..<8).reduce(0) { $0 + samples[y * 8 + $1] * table[v * 8 + $1] } }
        }
        return Self.zigzag.map { position in
            let (u, v) = (position / 8, position % 8)
            return Int((0..<8).reduce(0) { $0 + rows[$1 * 8 + v] * table[u * 8 + $1] }.rounded())
        }
    }

    private func write(_ block: [Int], _ prediction: inout Int, _ writer: inout BitWriter) {
        func bitCount(_ value: Int) -> Int { Int.bitWidth - abs(value).leadingZeroBitCount }
        func writeValue(_ value: Int) {
            let count = bitCount(value)
            writer.write(value > 0 ? value : value + (1 << count) - 1, count)
        }
        let difference = block[0] - prediction
        prediction = block[0]
        writer.write(bitCount(difference), 5)
        writeValue(difference)
        var run = 0
        for value in block[1...] {
            guard value != 0 else {
                run += 1
                continue
            }
            while run > 15 {
                writer.write(1, 8)
                run -= 16
            }
            writer.write(2 + run * 14 + bitCount(value) - 1, 8)
            writeValue(value)
            run = 0
        }
        if run > 0 { writer.write(0, 8) }
    }
}
