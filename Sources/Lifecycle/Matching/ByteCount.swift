// SPDX-License-Identifier: Apache-2.0

/// Byte counts with suffixes, as rules have them: `500 MB`, `2 GiB`, `4096`.
enum ByteCount {
    /// Powers of 1000 and of 1024; the larger of two that fit comes first.
    private static let units: [(name: String, byteCount: Int64)] = [
        ("TiB", 1 << 40), ("TB", 1_000_000_000_000), ("GiB", 1 << 30), ("GB", 1_000_000_000),
        ("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10), ("kB", 1_000), ("B", 1),
    ]

    /// Reads a whole number with a unit; without one it is bytes.
    ///
    /// Nil for anything else, and for what does not fit.
    static func parse(_ text: some StringProtocol) -> Int64? {
        let digits = text.prefix { "0"..."9" ~= $0 }
        let suffix = text[digits.endIndex...].drop { $0 == " " }
        guard let count = Int64(digits) else { return nil }
        if suffix.isEmpty { return count }
        guard let unit = units.first(where: { $0.name.lowercased() == suffix.lowercased() }) else { return nil }
        let (product, isTooLarge) = count.multipliedReportingOverflow(by: unit.byteCount)
        return isTooLarge ? nil : product
    }

    /// The shortest exact text: `2 GB`, `1500 B`.
    static func text(_ byteCount: Int64) -> String {
        let unit = units.first { byteCount != 0 && byteCount % $0.byteCount == 0 } ?? ("B", 1)
        return "\(byteCount / unit.byteCount) \(unit.name)"
    }
}
