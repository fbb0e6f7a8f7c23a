// SPDX-License-Identifier: Apache-2.0

/// A Huffman table made for decoding: the first 12 bits of the data find code and, where it fits, the value behind it.
///
/// It lies in memory of the caller's, `wordCount` words of 32 bits, and is a pointer to it: copies cost nothing.
struct JPEGHuffmanTable {
    static let lookupBitCount = 12
    /// The lookup, 17 limits and 17 offsets of code lengths 0 to 16, and 256 symbols.
    static let wordCount = 1 << lookupBitCount + 17 + 17 + 256

    /// What a lookup or the slow way found: the bits to consume (0...5), a kind (6, 7), the symbol (8...15) and the
    /// value (16 and up).
    typealias Entry = Int64

    private static let partial: UInt32 = 0x40
    private static let long: UInt32 = 0x80

    private let words: UnsafeMutablePointer<UInt32>
    private var limits: UnsafeMutablePointer<UInt32> { words + (1 << Self.lookupBitCount) }
    private var offsets: UnsafeMutablePointer<UInt32> { limits + 17 }
    private var symbols: UnsafeMutablePointer<UInt32> { offsets + 17 }

    /// Builds the table of `source`, whose counts were found to fit their lengths.
    ///
    /// With `hasValues` symbols are bit counts of a difference that follows (H.1.2.2), so that code and difference can
    /// be found at once.
    init(_ source: JPEGTables.Huffman, at words: UnsafeMutablePointer<UInt32>, hasValues: Bool) {
        self.words = words
        let lookupCount = 1 << Self.lookupBitCount
        words.initialize(repeating: Self.long, count: Self.wordCount)
        var code = 0
        var index = 0
        limits[0] = 0
        offsets[0] = 0
        for codeLength in 1...16 {
            offsets[codeLength] = UInt32(truncatingIfNeeded: index &- code)
            for _ in 0..<source.counts[codeLength - 1] {
                let symbol = source.symbols[index]
                symbols[index] = UInt32(symbol)
                if codeLength <= Self.lookupBitCount {
                    let free = Self.lookupBitCount - codeLength
                    for rest in 0..<1 << free {
                        let entry = Self.entry(symbol, codeLength, rest: rest, free: free, hasValues: hasValues)
                        words[min(code << free | rest, lookupCount - 1)] = entry
                    }
                }
                code += 1
                index += 1
            }
            limits[codeLength] = UInt32(code << (16 - codeLength))
            code <<= 1
        }
    }

    private static func entry(_ symbol: UInt8, _ codeLength: Int, rest: Int, free: Int, hasValues: Bool) -> UInt32 {
        let bitCount = Int(symbol)
        guard hasValues, bitCount <= free else {
            return UInt32(codeLength) | partial | UInt32(symbol) << 8
        }
        let value = bitCount == 0 ? 0 : extend(UInt32(rest >> (free - bitCount)), bitCount)
        return UInt32(codeLength + bitCount) | UInt32(symbol) << 8 | UInt32(bitPattern: value) << 16
    }

    /// The EXTEND procedure (F.2.2.1): the lower half of the values are negative.
    @inline(__always)
    static func extend(_ value: UInt32, _ bitCount: Int) -> Int32 {
        let value = Int32(truncatingIfNeeded: value)
        let limit = Int32(1) &<< Int32(truncatingIfNeeded: bitCount &- 1)
        return value < limit ? value &- (limit &<< 1) &+ 1 : value
    }

    // MARK: - Lossless: differences

    /// The next difference of `reader`; sets `isBroken` where no code begins.
    @inline(__always)
    func difference(_ reader: inout JPEGBitReader, isBroken: inout Bool) -> Int32 {
        reader.refill()
        let word = words[Int(truncatingIfNeeded: reader.bits &>> UInt64(64 - Self.lookupBitCount))]
        if word & (Self.partial | Self.long) == 0 {
            reader.consume(Int(word & 0x3F))
            return Int32(bitPattern: word) &>> 16
        }
        let entry = slowDifference(reader.bits, word)
        if entry & Int64(Self.long) != 0 { isBroken = true }
        reader.consume(Int(entry & 0x3F))
        return Int32(truncatingIfNeeded: entry &>> 16)
    }

    @inline(never)
    private func slowDifference(_ bits: UInt64, _ word: UInt32) -> Entry {
        let (codeLength, symbol) = word & Self.long == 0 ? (Int(word & 0x3F), Int(word >> 8 & 0xFF)) : find(bits)
        guard codeLength > 0, symbol <= 16 else { return Entry(Self.long) | 1 }
        // Category 16 has no bits of its own: the difference is 32768 (table H.2).
        if symbol == 16 { return Entry(codeLength) | 32_768 << 16 }
        if symbol == 0 { return Entry(codeLength) }
        let rest = bits &<< UInt64(codeLength)
        let value = Self.extend(UInt32(truncatingIfNeeded: rest &>> UInt64(64 - symbol)), symbol)
        return Entry(codeLength + symbol) | Entry(value) << 16
    }

    // MARK: - DCT: symbols

    /// The next symbol of `reader`, whose refill must have left 16 bits; nil where no code begins.
    @inline(__always)
    func symbol(_ reader: inout JPEGBitReader) -> Int? {
        let word = words[Int(truncatingIfNeeded: reader.bits &>> UInt64(64 - Self.lookupBitCount))]
        if word & Self.long == 0 {
            reader.consume(Int(word & 0x3F))
            return Int(word >> 8 & 0xFF)
        }
        let (codeLength, symbol) = find(reader.bits)
        guard codeLength > 0 else { return nil }
        reader.consume(codeLength)
        return symbol
    }

    /// The code at the start of `bits`, by length; length 0 where there is none.
    private func find(_ bits: UInt64) -> (codeLength: Int, symbol: Int) {
        let code = UInt32(truncatingIfNeeded: bits &>> 48)
        for codeLength in 1...16 where code < limits[codeLength] {
            let index = (code >> UInt32(16 - codeLength)) &+ offsets[codeLength]
            return (codeLength, Int(symbols[Int(min(index, 255))]))
        }
        return (0, 0)
    }
}
