// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// How far a record has been read for one get.
///
/// Asked by one task at a time; the lock only tells the compiler so.
final class Position: Sendable {
    private let offset: NIOLockedValueBox<UInt64>

    init(_ start: UInt64) {
        self.offset = NIOLockedValueBox(start)
    }

    /// The next piece of at most `count` bytes before `end`; empty at the end.
    func next(upTo end: UInt64, by count: UInt64) -> Range<UInt64> {
        offset.withLockedValue { offset in
            let piece = offset..<min(end, offset + count)
            offset = piece.upperBound
            return piece
        }
    }
}
