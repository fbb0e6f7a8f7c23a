// SPDX-License-Identifier: Apache-2.0

import SegmentFormat

/// The writer thread of a store: hands the engine one batch of puts after another and answers who waits for them.
///
/// Owns the engine; nothing here runs anywhere but on its thread.
struct SegmentWriter {
    private var engine: StoreEngine
    private let queue: WriterQueue
    private let readers: DiskThreadPool
    /// How many puts the next batch may expect: those just answered may come again.
    private var company = 1

    init(engine: StoreEngine, queue: WriterQueue, readers: DiskThreadPool) {
        self.engine = engine
        self.queue = queue
        self.readers = readers
    }

    /// Works until a `close` command.
    mutating func run() {
        let limits = engine.view.configuration.groupCommit
        while true {
            switch queue.next(limits: limits, company: company, lastSync: engine.lastSyncNanoseconds) {
            case .batch(let puts): process(puts)
            case .command(.reserveSegmentID(let continuation)):
                continuation.resume(
                    returning: Result(catching: { () throws(SegmentStoreError) in try engine.takeSegmentID() })
                )
            case .command(.markReconciled(let continuation)):
                continuation.resume(
                    returning: Result(catching: { () throws(SegmentStoreError) in try engine.markReconciled() })
                )
            case .command(.close(let isClean, let continuation)):
                if isClean { engine.closeInOrder() }
                continuation.resume()
                return
            }
        }
    }

    private mutating func process(_ puts: [Put]) {
        let queue = queue
        guard let (fresh, known) = engine.sort(puts, answer: { queue.finish($0, $1) }) else { return }
        for (put, locator) in known { compare(put, with: locator) }
        engine.store(fresh) { queue.finish($0, $1) }
        company = fresh.count + queue.waitingCount
    }

    /// Has a reading thread compare a put with the stored record; when that is damaged the put comes back to replace it.
    private func compare(_ put: Put, with locator: RecordLocator) {
        queue.beginComparing()
        let refusal = readers.submit { [queue, view = engine.view] in
            switch view.compare(put.id, put.digest, with: locator) {
            case .same: queue.endComparing(put, .durable(wasThere: true))
            case .other(let stored): queue.endComparing(put, .conflict(stored: stored))
            case .damaged:
                var put = put
                put.replaced = locator
                queue.resubmit(put)
            }
        }
        if let refusal { queue.endComparing(put, .failed(refusal)) }
    }
}
