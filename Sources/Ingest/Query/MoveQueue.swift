// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// The instances of a C-MOVE that wait for one of its associations.
///
/// May be used from any task.
package final class MoveQueue: Sendable {
    /// The most instances that an association takes at once: what is made ready ahead is made ready for it.
    package static let maximumTakenCount = 32

    private let waiting: NIOLockedValueBox<ArraySlice<StoredInstance>>
    private let associationCount: Int

    /// `associationCount` associations share the instances.
    package init(_ instances: ArraySlice<StoredInstance>, associationCount: Int) {
        self.waiting = NIOLockedValueBox(instances)
        self.associationCount = max(1, associationCount)
    }

    package var isEmpty: Bool { waiting.withLockedValue { $0.isEmpty } }

    /// The next instances for an association, in order; none when there are no more.
    ///
    /// Fewer towards the end, so that all associations end at about the same time.
    package func take() -> [StoredInstance] {
        waiting.withLockedValue { waiting in
            let share = waiting.count / (2 * associationCount)
            let taken = waiting.prefix(associationCount == 1 ? .max : min(max(1, share), Self.maximumTakenCount))
            waiting = waiting.dropFirst(taken.count)
            return Array(taken)
        }
    }

    /// Puts back what was taken and not sent, before all others.
    package func giveBack(_ instances: some Collection<StoredInstance>) {
        guard !instances.isEmpty else { return }
        waiting.withLockedValue { $0 = ArraySlice(Array(instances) + $0) }
    }

    /// Takes out what is left.
    package func takeAll() -> [StoredInstance] {
        waiting.withLockedValue { waiting in
            defer { waiting = [] }
            return Array(waiting)
        }
    }
}
