// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore

/// A text file of named byte sequences beside this source file.
///
/// Blank lines part the entries; the lines of an entry are `name: ...`, other `key: value` pairs, and `hex:` lines, whose
/// digits are joined. Lines that begin with `#` are comments. `VARVE_WRITE_GOLDEN=1` in the environment writes the file
/// anew instead of checking against it.
struct GoldenFile {
    struct Entry: Equatable {
        var name: String
        var facts: [String: String] = [:]
        var hex = ""

        var bytes: ByteBuffer {
            var bytes = ByteBuffer()
            var digits = Substring(hex)
            while digits.count >= 2 {
                bytes.writeInteger(UInt8(digits.prefix(2), radix: 16) ?? 0)
                digits = digits.dropFirst(2)
            }
            return bytes
        }
    }

    let path: String
    let comment: String

    init(_ name: String, comment: String, file: StaticString = #filePath) {
        self.path = URL(fileURLWithPath: "\(file)").deletingLastPathComponent().appendingPathComponent(name).path
        self.comment = comment
    }

    static var isWriting: Bool { ProcessInfo.processInfo.environment["VARVE_WRITE_GOLDEN"] == "1" }

    func read() throws -> [Entry] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return text.components(separatedBy: "\n\n").compactMap { block in
            var entry: Entry?
            for line in block.split(separator: "\n") where !line.hasPrefix("#") {
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2 else { continue }
                let value = parts[1].trimmingCharacters(in: .whitespaces)
                switch parts[0] {
                case "name": entry = Entry(name: value)
                case "hex": entry?.hex += value.replacingOccurrences(of: " ", with: "")
                default: entry?.facts[String(parts[0])] = value
                }
            }
            return entry
        }
    }

    /// Writes the entries, facts in the order of their keys, 32 bytes a line (so that a header is a line of its own).
    func write(_ entries: [Entry]) throws {
        var text = comment.split(separator: "\n").map { "# \($0)\n" }.joined()
        for entry in entries {
            text += "\nname: \(entry.name)\n"
            for (key, value) in entry.facts.sorted(by: { $0.key < $1.key }) { text += "\(key): \(value)\n" }
            var digits = Substring(entry.hex)
            repeat {
                text += "hex: \(digits.prefix(64))\n"
                digits = digits.dropFirst(64)
            } while !digits.isEmpty
        }
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }

    static func hex(_ bytes: ByteBuffer) -> String {
        bytes.readableBytesView.map { String(format: "%02x", $0) }.joined()
    }
}
