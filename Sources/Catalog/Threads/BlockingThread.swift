// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A thread for work that blocks, which must never run on the cooperative pool or an event loop.
enum BlockingThread {
    /// Starts a detached thread that runs `body` to its end; false when the system has no thread left to give.
    static func start(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        let argument = Unmanaged.passRetained(Start(name: name, body: body)).toOpaque()
        var thread: pthread_t = 0
        guard pthread_create(&thread, nil, runBlockingThread, argument) == 0 else {
            Unmanaged<Start>.fromOpaque(argument).release()
            return false
        }
        return true
    }

    fileprivate final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            // Linux takes 15 bytes of a name.
            self.name = String(name.prefix(15))
            self.body = body
        }

        func run() {
            pthread_detach(pthread_self())
            setName()
            body()
        }

        /// Names the calling thread for `top` and debuggers.
        ///
        /// Glibc's overlay lacks pthread_setname_np, which writes this file.
        private func setName() {
            let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
            guard file >= 0 else { return }
            defer { close(file) }
            _ = name.withCString { write(file, $0, strlen($0)) }
        }
    }
}

private func runBlockingThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<BlockingThread.Start>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
