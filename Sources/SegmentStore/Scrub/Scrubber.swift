// SPDX-License-Identifier: Apache-2.0

import CPlatform
import SegmentFormat

/// The thread that checks a store, one piece after another at the pace of its `ScrubPacer`, and gives way to all others.
final class Scrubber: Sendable {
    private struct State {
        var isClosing = false
        var onClosed: (@Sendable () -> Void)?
        var isRunning = true
    }

    private let monitor = Monitor(State())

    /// Starts the thread; `noteChecked` is called on it for each segment that is done.
    func start(
        _ view: StoreView,
        deadlineSeconds: Double,
        noteChecked: @escaping @Sendable (SegmentID) -> Void
    ) throws(SegmentStoreError) {
        let pacer = ScrubPacer(deadlineSeconds: deadlineSeconds, pieceByteCount: SegmentScrub.pieceByteCount)
        try startDiskThread(name: "varve-scrub") { [self] in
            varve_thread_make_background()
            run(view, pacer, noteChecked)
            let onClosed = monitor.withLock { state in
                state.isRunning = false
                return state.onClosed
            }
            onClosed?()
        }
    }

    /// Ends the thread after the read that it is in.
    func close() async {
        await withCheckedContinuation { continuation in
            let isOver = monitor.withLock { state in
                state.isClosing = true
                if state.isRunning { state.onClosed = { continuation.resume() } }
                return !state.isRunning
            }
            monitor.broadcast()
            if isOver { continuation.resume() }
        }
    }

    private func run(_ view: StoreView, _ pacer: ScrubPacer, _ noteChecked: (SegmentID) -> Void) {
        var pacer = pacer
        var current: SegmentScrub?
        view.loadCreationTimes()
        while !monitor.withLock({ $0.isClosing }) {
            let delay = pacer.delay(
                at: view.clock.monotonicNanoseconds(),
                byteCount: view.segments.scrubState.byteCount,
                ageSeconds: view.oldestUncheckedSeconds
            )
            if delay > 0 {
                monitor.wait(until: StoreClock.system.monotonicNanoseconds() + delay) { $0.isClosing }
                continue
            }
            guard var scrub = current ?? view.oldestScrub() else { continue }
            if let byteCount = scrub.step() {
                pacer.spent(byteCount)
                current = scrub
            } else {
                noteChecked(scrub.segment)
                current = nil
            }
        }
    }
}
