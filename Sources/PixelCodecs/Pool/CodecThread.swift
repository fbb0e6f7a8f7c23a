// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One thread that runs jobs of a queue until it closes.
struct CodecThread: Sendable {
    /// Codecs recurse and keep tables on the stack; small thread stacks have killed archives before.
    private static let stackByteCount = 8 << 20

    private let handle: pthread_t

    /// Starts the thread; nil when the system has no more.
    init?(queue: JobQueue) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, Self.stackByteCount)
        let start = Unmanaged.passRetained(Start(queue: queue))
        var handle = pthread_t()
        let status = pthread_create(
            &handle,
            &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<Start>.fromOpaque(context).takeRetainedValue().run()
                return nil
            },
            start.toOpaque()
        )
        guard status == 0 else {
            start.release()
            return nil
        }
        self.handle = handle
    }

    var isCurrent: Bool { pthread_equal(handle, pthread_self()) != 0 }

    func join() { pthread_join(handle, nil) }

    func detach() { pthread_detach(handle) }

    private final class Start {
        let queue: JobQueue

        init(queue: JobQueue) { self.queue = queue }

        func run() {
            let scratch = CodecScratch()
            while let job = queue.pop() {
                job(scratch)
                scratch.trim()
            }
        }
    }
}
