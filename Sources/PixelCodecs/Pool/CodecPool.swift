// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
public import NIOCore

/// Threads made for codecs, behind a bounded queue: never an event loop, never the cooperative pool.
///
/// Each operation is one hop there and one back. Cancelling the calling task does not stop work that was queued: it is
/// milliseconds, and the frame is the caller's. When the queue is full an operation fails at once with `.queueFull`;
/// callers bound their own concurrency, so reaching the limit is a sign of a wrong setting rather than a state to wait
/// in. Call `shutdown` before letting go of a pool: it waits for running work.
public final class CodecPool: Sendable {
    private let queue: JobQueue
    private let threads: NIOLockedValueBox<[CodecThread]>
    /// How many threads run.
    public let threadCount: Int

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - threadCount: at least 1; usually the number of cores.
    ///   - queueLimit: how many operations may wait beyond those running, at least 1.
    public init(threadCount: Int, queueLimit: Int) {
        let queue = JobQueue(limit: max(1, queueLimit))
        let threads = (0..<max(1, threadCount)).compactMap { _ in CodecThread(queue: queue) }
        // Without any thread every operation would wait for ever: turn them away instead.
        if threads.isEmpty { _ = queue.close() }
        self.queue = queue
        self.threads = NIOLockedValueBox(threads)
        self.threadCount = threads.count
    }

    deinit { stop(joining: false) }

    /// Operations that wait for a thread, for a metric.
    public var waitingCount: Int { queue.waitingCount }

    /// Why `codec` cannot carry frames of `format`, which then stay native, or nil when it can.
    public static func canEncode(_ format: PixelFormat, codec: PixelCodec) -> String? { codec.refusal(of: format) }

    /// Encodes one native frame; see `PixelCodec.encode`.
    public func encode(
        _ frame: ByteBuffer,
        format: PixelFormat,
        codec: PixelCodec,
        options: PixelCodec.EncodingOptions = .init()
    ) async throws(CodecError) -> ByteBuffer {
        try await perform { scratch throws(CodecError) in
            try codec.encode(frame, format: format, options: options, scratch: scratch)
        }
    }

    /// Decodes one frame into the native layout of `format`; see `PixelCodec.decode`.
    public func decode(
        _ encoded: ByteBuffer,
        format: PixelFormat,
        codec: PixelCodec
    ) async throws(CodecError) -> ByteBuffer {
        try await perform { scratch throws(CodecError) in
            try codec.decode(encoded, format: format, scratch: scratch)
        }
    }

    /// Decodes `encoded` and compares it with the native `frame`, in one hop; see `PixelCodec.prove`.
    public func prove(
        _ encoded: ByteBuffer,
        equals frame: ByteBuffer,
        format: PixelFormat,
        codec: PixelCodec
    ) async throws(CodecError) -> Bool {
        try await perform { scratch throws(CodecError) in
            try codec.prove(encoded, equals: frame, format: format, scratch: scratch)
        }
    }

    /// Has one native frame encoded and then proven on the same thread, whose cache still holds it.
    ///
    /// Returns at once; what became of it is in the ``FrameEncoding``.
    public func startEncoding(
        _ frame: ByteBuffer,
        format: PixelFormat,
        codec: PixelCodec,
        options: PixelCodec.EncodingOptions = .init()
    ) -> FrameEncoding {
        let encoding = FrameEncoding()
        let refused = { @Sendable (error: CodecError) in
            encoding.bytes.finish(.failure(error))
            encoding.proof.finish(.failure(error))
        }
        enqueue { scratch in
            guard let scratch else {
                return refused(CodecError(.shutDown, "the codec pool was shut down"))
            }
            let encoded = Result { () throws(CodecError) in
                try codec.encode(frame, format: format, options: options, scratch: scratch)
            }
            encoding.bytes.finish(encoded)
            encoding.proof.finish(
                Result { () throws(CodecError) in
                    try codec.proveFresh(
                        try encoded.get(),
                        equals: frame,
                        format: format,
                        options: options,
                        scratch: scratch
                    )
                }
            )
        } refused: { error in
            refused(error)
        }
        return encoding
    }

    /// Runs other long computation (a digest of something big) on a codec thread.
    public func run<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await perform { _ in Result { try work() } }.get()
    }

    /// Fails what waits, lets what runs finish, and ends the threads.
    ///
    /// Later operations fail with `.shutDown`. Blocks for at most the longest running operation. Called from one of the pool's own threads it does not wait.
    public func shutdown() { stop(joining: true) }

    private func stop(joining: Bool) {
        for job in queue.close() { job(nil) }
        let ended = threads.withLockedValue { threads in
            defer { threads = [] }
            return threads
        }
        for thread in ended {
            if joining, !thread.isCurrent { thread.join() } else { thread.detach() }
        }
    }

    private func perform<T: Sendable>(
        _ work: @escaping @Sendable (CodecScratch) throws(CodecError) -> T
    ) async throws(CodecError) -> T {
        let result: Result<T, CodecError> = await withCheckedContinuation { continuation in
            enqueue { scratch in
                guard let scratch else {
                    continuation.resume(returning: .failure(CodecError(.shutDown, "the codec pool was shut down")))
                    return
                }
                continuation.resume(returning: Result { () throws(CodecError) in try work(scratch) })
            } refused: { error in
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }

    /// Calls exactly one of the two: `job` on a thread of the pool, or `refused` at once.
    private func enqueue(_ job: @escaping JobQueue.Job, refused: (CodecError) -> Void) {
        switch queue.push(job) {
        case .accepted: break
        case .full:
            refused(
                CodecError(.queueFull, "too many codec operations wait; raise the queue limit or send less at once")
            )
        case .closed:
            refused(CodecError(.shutDown, "the codec pool was shut down"))
        }
    }
}
