// SPDX-License-Identifier: Apache-2.0

package import Logging
package import SegmentStore

/// Gives the space of deleted and replaced records back: compacts a store's segments, one after another, now and then.
///
/// What a compaction retires stays in the trash until a coordinator permits to destroy it.
package struct Compactor: Sendable {
    private let store: SegmentStore
    private let interval: Duration
    private let logger: Logger

    /// Looks at some segments every `interval`, and at the next ones at once as long as there is something to do.
    package init(_ store: SegmentStore, interval: Duration, logger: Logger) {
        self.store = store
        self.interval = interval
        self.logger = logger
    }

    /// Compacts until the task is cancelled or the store is closed.
    package func run() async {
        var lastFailure: SegmentStoreError.Code?
        while !Task.isCancelled {
            do throws(SegmentStoreError) {
                while let report = try await store.compactNext() {
                    logger.info(
                        "segment compacted",
                        metadata: [
                            "segment": "\(report.segment)", "copied": "\(report.copiedByteCount)",
                            "dead": "\(report.deadByteCount)",
                        ]
                    )
                    guard !Task.isCancelled else { return }
                }
                lastFailure = nil
            } catch {
                if error.code == .closed { return }
                // Said once, not every minute.
                if error.code != lastFailure {
                    logger.warning("compaction waits", metadata: ["reason": "\(error)"])
                }
                lastFailure = error.code
            }
            // Cancellation ends the wait, and with it the loop.
            try? await Task.sleep(for: interval)
        }
    }
}
