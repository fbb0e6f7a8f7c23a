// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import NIOConcurrencyHelpers

/// Has the facts that rules decide by brought up to date while its coordinator leads, a little at a time.
///
/// ``run()`` is one task. That another coordinator does it, too, costs nothing but time: the catalog lets one at a time.
final class FactsWorker: Sendable {
    /// Between two looks for what came and went.
    private static let interval = Duration.seconds(15)

    private let catalog: Catalog
    private let logger: Logger
    private let isLeading = NIOLockedValueBox(false)

    init(catalog: Catalog, logger: Logger) {
        self.catalog = catalog
        self.logger = logger
    }

    /// Tells whether this coordinator leads.
    func update(isLeading: Bool) {
        self.isLeading.withLockedValue { $0 = isLeading }
    }

    /// Works until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            var wait = Self.interval
            if isLeading.withLockedValue({ $0 }) {
                let start = ContinuousClock.now
                do throws(CatalogError) {
                    // Half of the time is left to others.
                    if try await catalog.collectFacts() { wait = ContinuousClock.now - start }
                } catch {
                    logger.debug("the facts of studies cannot be collected now", metadata: ["reason": "\(error)"])
                }
            }
            // Cancellation ends the wait, and with it the loop.
            try? await Task.sleep(for: wait)
        }
    }
}
