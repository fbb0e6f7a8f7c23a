// SPDX-License-Identifier: Apache-2.0

/// The tile-parts that a codestream has, against those that it says it has (ISO 15444-1 §A.4.2).
struct TilePartCounts {
    /// Parts found, by tile.
    private(set) var found: [Int] = []
    /// The largest number of parts that a part of the tile names, 0 where none does.
    private var declared: [Int] = []
    /// Where the SOT segments lie that name a number of parts.
    private var declarations: [(tile: Int, declared: Int, start: Int)] = []

    init(tileCount: Int = 0) {
        found = Array(repeating: 0, count: tileCount)
        declared = found
    }

    /// Notes a part; false when it is of no tile, or not the one that comes next in its tile.
    mutating func count(tile: Int, part: Int, declared number: Int, at start: Int) -> Bool {
        guard tile < found.count, part == found[tile], part < 255 else { return false }
        found[tile] += 1
        if number > 0 {
            declared[tile] = max(declared[tile], number)
            declarations.append((tile, number, start))
        }
        return true
    }

    var areAllDeclared: Bool { !declared.contains(0) }

    /// Whether every tile is there, with no fewer parts than it says.
    var areComplete: Bool { zip(found, declared).allSatisfy { $0 > 0 && $0 >= $1 } }

    /// The SOT segments that name another number of parts than there are, and the right one.
    var miscounts: [(start: Int, count: Int)] {
        declarations.filter { $0.declared != found[$0.tile] }.map { ($0.start, found[$0.tile]) }
    }
}
