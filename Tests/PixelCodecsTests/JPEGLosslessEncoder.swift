// SPDX-License-Identifier: Apache-2.0

/// An encoder of JPEG lossless for tests: plain, slow, and written from ISO 10918-1 annex H without the decoder's code.
struct JPEGLosslessEncoder {
    var rows: Int
    var columns: Int
    var precision: Int
    var predictor = 1
    var pointTransform = 0
    /// Rows between restarts; 0 for none.
    var restartRows = 0
    /// One scan for all components, or one for each.
    var isInterleaved = true
    /// Code lengths: counts for 1 to 16 bits of 17 codes, and which category gets which.
    var counts = Self.flat
    var categories: [UInt8] = Array(0...16)
    /// Lines in SOF; the number is given by DNL behind the first scan where they are 0.
    var declaredRows: Int?
    var hasEnd = true

    /// 17 codes of 5 bits.
    static let flat: [UInt8] = [0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    /// Codes of 1 to 16 bits.
    static let skewed: [UInt8] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2, 2]

    /// `planes` hold the samples of one component each.
    func encode(_ planes: [[Int]]) -> [UInt8] {
        var bytes: [UInt8] = [0xFF, 0xD8]
        func word(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }
        bytes += [0xFF, 0xC3] + word(8 + 3 * planes.count) + [UInt8(precision)]
        bytes += word(declaredRows ?? rows) + word(columns) + [UInt8(planes.count)]
        for index in planes.indices { bytes += [UInt8(index + 1), 0x11, 0] }
        bytes += [0xFF, 0xC4] + word(2 + 17 + categories.count) + [0] + counts + categories
        if restartRows > 0 { bytes += [0xFF, 0xDD, 0, 4] + word(restartRows * columns) }
        let scans = isInterleaved ? [Array(planes.indices)] : planes.indices.map { [$0] }
        for (number, scan) in scans.enumerated() {
            bytes += [0xFF, 0xDA] + word(6 + 2 * scan.count) + [UInt8(scan.count)]
            for index in scan { bytes += [UInt8(index + 1), 0] }
            bytes += [UInt8(predictor), 0, UInt8(pointTransform)]
            bytes += code(scan.map { planes[$0] })
            if number == 0, declaredRows == 0 { bytes += [0xFF, 0xDC, 0, 4] + word(rows) }
        }
        return hasEnd ? bytes + [0xFF, 0xD9] : bytes
    }

    private func code(_ planes: [[Int]]) -> [UInt8] {
        let codes = makeCodes()
        var writer = BitWriter()
        for row in 0..<rows {
            let isFirst = restartRows > 0 ? row % restartRows == 0 : row == 0
            if isFirst, row > 0 { writer.restart(row / restartRows - 1) }
            for column in 0..<columns {
                for plane in planes {
                    func at(_ row: Int, _ column: Int) -> Int { plane[row * columns + column] >> pointTransform }
                    let prediction: Int
                    if isFirst {
                        prediction = column == 0 ? 1 << (precision - pointTransform - 1) : at(row, column - 1)
                    } else if column == 0 {
                        prediction = at(row - 1, 0)
                    } else {
                        let (a, b, c) = (at(row, column - 1), at(row - 1, column), at(row - 1, column - 1))
                        prediction =
                            switch predictor {
                            case 1: a
                            case 2: b
                            case 3: c
                            case 4: a + b - c
                            case 5: a + ((b - c) >> 1)
                            case 6: b + ((a - c) >> 1)
                            default: (a + b) >> 1
                            }
                    }
                    // Modulo 65,536 into -32,767...32,768.
                    var difference = (at(row, column) - prediction) & 0xFFFF
                    if difference > 32_768 { difference -= 65_536 }
                    let magnitude = abs(difference)
                    let category = magnitude == 0 ? 0 : Int.bitWidth - magnitude.leadingZeroBitCount
                    let code = codes[category]
                    writer.write(code.value, code.bitCount)
                    if category > 0, category < 16 {
                        writer.write(difference > 0 ? difference : difference + (1 << category) - 1, category)
                    }
                }
            }
        }
        return writer.finish()
    }

    /// The code of each category (annex C).
    private func makeCodes() -> [(value: Int, bitCount: Int)] {
        var codes = Array(repeating: (value: 0, bitCount: 0), count: 17)
        var value = 0
        var index = 0
        for bitCount in 1...16 {
            for _ in 0..<counts[bitCount - 1] {
                codes[Int(categories[index])] = (value, bitCount)
                value += 1
                index += 1
            }
            value <<= 1
        }
        return codes
    }
}

/// Bits with stuffed zeros behind FF, and ones up to the next byte before a marker.
struct BitWriter {
    private(set) var bytes: [UInt8] = []
    private var pending = 0
    private var pendingCount = 0

    mutating func write(_ value: Int, _ bitCount: Int) {
        for bit in (0..<bitCount).reversed() {
            pending = pending << 1 | (value >> bit & 1)
            pendingCount += 1
            if pendingCount == 8 {
                bytes.append(UInt8(pending))
                if pending == 0xFF { bytes.append(0) }
                (pending, pendingCount) = (0, 0)
            }
        }
    }

    mutating func restart(_ number: Int) {
        align()
        bytes += [0xFF, 0xD0 + UInt8(number % 8)]
    }

    mutating func finish() -> [UInt8] {
        align()
        return bytes
    }

    private mutating func align() {
        while pendingCount > 0 { write(1, 1) }
    }
}
