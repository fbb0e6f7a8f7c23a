// SPDX-License-Identifier: Apache-2.0

/// What was perhaps meant by a word that nobody knows.
enum NearMiss {
    /// The candidate that is fewest typing errors away, and no more than a third of the longer word; nil when there is
    /// none.
    static func of(_ word: String, in candidates: [String]) -> String? {
        guard word.utf8.count <= RuleSetLimits.nameCharacters else { return nil }
        let folded = Array(word.lowercased().utf8)
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let letters = Array(candidate.lowercased().utf8)
            let distance = self.distance(folded, letters)
            guard distance <= max(1, max(folded.count, letters.count) / 3), distance < best?.distance ?? Int.max else {
                continue
            }
            best = (candidate, distance)
        }
        return best?.candidate
    }

    /// Letters to insert, leave out or replace to make one word of the other (Levenshtein).
    private static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        var row = Array(0...second.count)
        for (index, letter) in first.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in second.indices {
                let replaced = diagonal + (letter == second[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[second.count]
    }
}
