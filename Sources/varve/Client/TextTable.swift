// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Columns of text for a terminal: headings, then rows, padded to the widest value.
struct TextTable {
    private var rows: [[String]]
    private let rightAligned: Set<Int>

    /// Starts a table; the columns in `rightAligned` hold numbers.
    init(_ headings: [String], rightAligned: Set<Int> = []) {
        self.rows = [headings]
        self.rightAligned = rightAligned
    }

    mutating func add(_ row: [String]) {
        rows.append(row)
    }

    var text: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, value in
                let padding = String(repeating: " ", count: widths[column] - value.count)
                return rightAligned.contains(column) ? padding + value : value + padding
            }.joined(separator: "  ").replacingOccurrences(of: " +$", with: "", options: .regularExpression)
        }.joined(separator: "\n")
    }
}

/// A count of bytes as a person reads it: `512 B`, `1.2 MB` (decimal units).
func readableBytes(_ count: Int64) -> String {
    var value = Double(count)
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 1000 { return unit == "B" ? "\(count) B" : String(format: "%.1f %@", value, unit) }
        value /= 1000
    }
    return String(format: "%.1f PB", value)
}

/// Writes a line to standard output at once, also when that is a pipe.
func output(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

/// Writes a line to standard error.
func complain(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}
