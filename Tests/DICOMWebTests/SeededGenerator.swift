// SPDX-License-Identifier: Apache-2.0

import Foundation

/// SplitMix64, seeded from `VARVE_TEST_SEED` or afresh; prints its seed so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    static func fromEnvironment(_ name: String = #function) -> SeededGenerator {
        let seed =
            ProcessInfo.processInfo.environment["VARVE_TEST_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...(.max))
        FileHandle.standardError.write(Data("\(name): VARVE_TEST_SEED=\(seed)\n".utf8))
        return SeededGenerator(seed: seed)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// Replaces, inserts, removes, doubles or cuts a few bytes.
    mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &self) where !bytes.isEmpty {
            let index = Int.random(in: bytes.indices, using: &self)
            switch Int.random(in: 0..<5, using: &self) {
            case 0: bytes[index] = UInt8.random(in: 0...255, using: &self)
            case 1: bytes.insert(UInt8.random(in: 0...255, using: &self), at: index)
            case 2: bytes.remove(at: index)
            case 3: bytes.insert(contentsOf: bytes[index...].prefix(8), at: index)
            default: bytes.removeSubrange(index...)
            }
        }
        return bytes
    }
}
