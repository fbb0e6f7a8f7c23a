// SPDX-License-Identifier: Apache-2.0

import Foundation
public import Glibc
public import Logging

/// Runs and watches the processes of one directory: `varve up` and its private database.
///
/// Each child leads a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone and children stop in
/// order; each is told by the kernel when the supervisor dies. A dead child is started again, later and later, unless
/// the supervisor was made without restarts. One supervisor a directory: a lock sees to that.
public final class ProcessSupervisor: Sendable {
    /// How a command ended, and what it printed.
    public struct CommandResult: Sendable {
        public let status: ExitStatus
        public let output: String
        public var succeeded: Bool { status == .exited(0) }
    }

    /// Absolute.
    public let directory: String
    /// What happens to children, oldest first, for one reader; the newest 1,024 are kept.
    public let events: AsyncStream<ChildEvent>

    private let runDirectory: RunDirectory
    private let loop: SupervisorLoop
    private let lockDescriptor: Int32
    private let continuation: AsyncStream<ChildEvent>.Continuation

    /// Makes the directory, takes its lock, and ends what a killed predecessor left running.
    ///
    /// - Parameters:
    ///   - directory: made when missing.
    ///   - restart: whether dead children are started again.
    ///   - leftoverSignals: by name, what ends a predecessor's child if not SIGTERM.
    ///   - logger: hears of starts, ends and kills.
    /// - Throws: `.alreadyRunning` when another supervisor holds the directory.
    public init(
        directory: String,
        restart: Bool,
        leftoverSignals: [String: Int32] = [PrivatePostgres.processName: SIGINT],
        logger: Logger
    ) throws(SupervisorError) {
        runDirectory = try RunDirectory(creating: directory)
        self.directory = runDirectory.path
        lockDescriptor = try runDirectory.lock()
        let (events, continuation) = AsyncStream.makeStream(
            of: ChildEvent.self,
            bufferingPolicy: .bufferingNewest(1_024)
        )
        self.events = events
        self.continuation = continuation
        do throws(SupervisorError) {
            loop = try SupervisorLoop(
                directory: runDirectory,
                restarts: restart,
                stopSignals: leftoverSignals,
                logger: logger,
                emit: { continuation.yield($0) }
            )
        } catch {
            Glibc.close(lockDescriptor)
            throw error
        }
    }

    deinit { close() }

    /// Starts a child and keeps it running.
    @discardableResult
    public func start(_ specification: ChildSpecification) async throws(SupervisorError) -> pid_t {
        try specification.validate()
        return try await ask { loop, answer in answer(loop.start(specification)) }.get()
    }

    /// Runs a program to its end; its output also goes to `log/NAME.log`.
    public func run(
        _ specification: ChildSpecification,
        timeout: Duration = .seconds(60)
    ) async throws(SupervisorError) -> CommandResult {
        try specification.validate()
        let logFile = runDirectory.logFile(specification.name)
        var before = stat()
        let offset = stat(logFile, &before) == 0 ? UInt64(before.st_size) : 0
        let status = try await ask { loop, answer in
            loop.runCommand(specification, timeout: timeout, whenEnded: answer)
        }.get()
        return CommandResult(status: status, output: Self.tail(of: logFile, from: offset))
    }

    /// Asks until `check` says yes.
    ///
    /// - Throws: `.childEnded` when the child is dead and stays so, `.notReady` at the deadline.
    public func waitUntilReady(
        _ name: String,
        within limit: Duration,
        every interval: Duration = .milliseconds(50),
        _ check: @Sendable () async -> Bool
    ) async throws(SupervisorError) {
        let deadline = ContinuousClock.now + limit
        while !(await check()) {
            let child = await children().first { $0.name == name }
            let exit = child?.lastExit.map { "; last seen: \($0)" } ?? ""
            guard let child, !child.hasEnded else {
                throw SupervisorError(
                    .childEnded,
                    "\(name) ended before it was ready\(exit): see \(runDirectory.logFile(name))"
                )
            }
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw SupervisorError(
                    .notReady,
                    "\(name) was not ready within \(limit)\(exit): see \(runDirectory.logFile(name))"
                )
            }
            // Cancellation ends the wait; the loop's next turn reports it.
            try? await Task.sleep(for: interval)
        }
    }

    /// The children in the order of their start.
    public func children() async -> [ChildStatus] { await ask { loop, answer in answer(loop.statuses) } ?? [] }

    /// Stops one child: its stop signal, its grace period, then SIGKILL.
    public func stop(_ name: String) async {
        let _: Void? = await ask { loop, answer in loop.stop(name) { answer(()) } }
    }

    /// Stops the children named, one after the other, then the rest, last started first.
    public func stopAll(order: [String] = []) async {
        let rest = await children().map(\.name).filter { !order.contains($0) }.reversed()
        for name in order + rest { await stop(name) }
    }

    /// Gives the directory back, after `stopAll`; children that still run are told to end by the kernel.
    public func close() {
        guard loop.close() else { return }
        continuation.finish()
        flock(lockDescriptor, LOCK_UN)
        Glibc.close(lockDescriptor)
    }

    private func ask<Answer: Sendable>(
        _ command: @escaping @Sendable (SupervisorLoop, @escaping @Sendable (Answer) -> Void) -> Void
    ) async -> Answer? {
        await withCheckedContinuation { continuation in
            let accepted = loop.submit { loop in command(loop) { continuation.resume(returning: $0) } }
            if !accepted { continuation.resume(returning: nil) }
        }
    }

    /// The end of a log, as far as it is worth showing.
    private static func tail(of file: String, from offset: UInt64) -> String {
        guard let handle = FileHandle(forReadingAtPath: file) else { return "" }
        defer { try? handle.close() }  // nothing was written
        let limit: UInt64 = 16 << 10
        let end = (try? handle.seekToEnd()) ?? offset  // unreadable: shown as empty
        try? handle.seek(toOffset: max(offset, end > limit ? end - limit : 0))
        return String(decoding: (try? handle.readToEnd()) ?? Data(), as: UTF8.self)
    }
}

extension Optional {
    /// The answer, or the error of a supervisor that was closed.
    fileprivate func get<Success>() throws(SupervisorError) -> Success
    where Wrapped == Result<Success, SupervisorError> {
        guard let self else { throw SupervisorError(.spawnFailed, "the supervisor was closed") }
        return try self.get()
    }
}
