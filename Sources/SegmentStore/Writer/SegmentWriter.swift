// SPDX-License-Identifier: Apache-2.0

import SegmentFormat

/// The writer thread of a store: hands the engine one batch of puts after another and answers who waits for them.
///
/// Owns the engine; nothing here runs anywhere but on its thread.
struct SegmentWriter {
    private var engine: StoreEngine
    private let queue: WriterQueue
    private let readers: DiskThreadPool
    private var delay: CommitDelay

    init(engine: StoreEngine, queue: WriterQueue, readers: DiskThreadPool) {
        self.engine = engine
        self.queue = queue
        self.readers = readers
        let limits = engine.view.configuration.groupCommit
        self.delay = CommitDelay(
            maximumRecordCount: limits.maximumRecordCount,
            maximumNanoseconds: limits.maximumDelay.nanoseconds
        )
    }

    /// Works until a `close` command.
    mutating func run() {
        let limits = engine.view.configuration.groupCommit
        while true {
            switch queue.next(limits: limits, delay: &delay) {
            case .batch(let puts): process(puts)
            case .command(.step(let step)): step(&engine)
            case .command(.close(let isClean, let continuation)):
                if isClean { engine.closeInOrder() }
                continuation.resume()
                return
            }
        }
    }

    private mutating func process(_ puts: [Put]) {
        let queue = queue
        var freshCount = 0
        for round in StoreEngine.rounds(of: puts) {
            guard let (fresh, known) = engine.sort(round, answer: { queue.finish($0, $1) }) else { continue }
            for (put, stored) in known { compare(put, with: stored) }
            freshCount += fresh.count
            engine.store(fresh) { queue.finish($0, $1) }
        }
        delay.committed(count: freshCount, waiting: queue.waitingCount, nanoseconds: engine.lastBatchNanoseconds)
    }

    /// Has a reading thread compare a put with the stored record; when that is damaged the put comes back to replace it.
    private func compare(_ put: Put, with stored: IndexedRecord) {
        queue.beginComparing()
        let refusal = readers.submit { [queue, view = engine.view] in
            switch view.compare(put.digest, with: stored) {
            case .same: queue.endComparing(put, .durable(wasThere: true))
            case .other(let digest): queue.endComparing(put, .conflict(stored: digest))
            case .damaged:
                var put = put
                put.replaced = stored.locator
                queue.resubmit(put)
            }
        }
        if let refusal { queue.endComparing(put, .failed(refusal)) }
    }
}
