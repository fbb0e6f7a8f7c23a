// SPDX-License-Identifier: Apache-2.0

/// What happened in a run: a hash of all of it, and the last lines of it.
struct Trace {
    private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    private var lines: [String] = []
    private var next = 0
    /// How many lines are kept; 0 for none, which is quicker.
    let limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01b3
        hash ^= hash >> 29
    }

    mutating func add(_ time: Int64, _ text: @autoclosure () -> String) {
        guard limit > 0 else { return }
        let line = "\(time / 1000).\(String(1000 + time % 1000).dropFirst()) ms  \(text())"
        if lines.count < limit {
            lines.append(line)
        } else {
            lines[next] = line
            next = (next + 1) % limit
        }
    }

    /// The lines that were kept, oldest first.
    var kept: [String] { Array(lines[next...] + lines[..<next]) }
}
