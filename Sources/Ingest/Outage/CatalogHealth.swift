// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// Whether the catalog answers, as those who ask it have last seen.
///
/// So that a store during an outage does not wait for a deadline of its own. ``MapFollower`` asks once a second and
/// finds out when it is over.
package final class CatalogHealth: Sendable {
    private let state = NIOLockedValueBox(false)

    package init() {}

    /// Whether the last who asked got no answer.
    package var isAway: Bool { state.withLockedValue { $0 } }

    package func answered() {
        state.withLockedValue { $0 = false }
    }

    package func failed() {
        state.withLockedValue { $0 = true }
    }
}
