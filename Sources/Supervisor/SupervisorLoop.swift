// SPDX-License-Identifier: Apache-2.0

import CSpawn
import Foundation
import Glibc
import Logging

/// The thread that starts, watches, restarts and stops children.
///
/// Everything happens on this one thread, because the kernel binds "tell the child when its parent dies" to the thread
/// that forked it. It sleeps in `poll` on the children's pidfds, on a wake-up descriptor, and until the next deadline.
///
/// Safety: `commands` and `isClosed` are used under `lock`; all other state by the thread only, once it runs.
final class SupervisorLoop: @unchecked Sendable {
    typealias Command = @Sendable (SupervisorLoop) -> Void

    private let directory: RunDirectory
    private let restarts: Bool
    private let logger: Logger
    private let emit: @Sendable (ChildEvent) -> Void
    private let stopSignals: [String: Int32]

    private let lock = NSLock()
    private var commands: [Command] = []
    private var isClosed = false
    private let wakeup: Int32

    private var children: [Child] = []

    /// How long to sleep where the kernel has no pidfds.
    private static let pollInterval = Duration.milliseconds(50)

    init(
        directory: RunDirectory,
        restarts: Bool,
        stopSignals: [String: Int32],
        logger: Logger,
        emit: @escaping @Sendable (ChildEvent) -> Void
    ) throws(SupervisorError) {
        self.directory = directory
        self.restarts = restarts
        self.stopSignals = stopSignals
        self.logger = logger
        self.emit = emit
        wakeup = varve_eventfd()
        guard wakeup >= 0 else {
            throw SupervisorError(.fileSystem, "cannot make an event descriptor: \(systemMessage(errno))")
        }
        let thread = Thread { self.run() }
        thread.name = "supervisor"
        thread.start()
    }

    deinit { Glibc.close(wakeup) }

    /// Runs `command` on the thread, soon; false after `close`.
    func submit(_ command: @escaping Command) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        guard !isClosed else { return false }
        commands.append(command)
        var one = UInt64(1)
        _ = write(wakeup, &one, MemoryLayout<UInt64>.size)
        return true
    }

    // MARK: - On the thread

    private func run() {
        directory.endLeftovers(stopSignals: stopSignals, gracePeriod: .seconds(10), logger: logger)
        while true {
            lock.lock()
            let todo = commands
            commands = []
            let isDone = isClosed && todo.isEmpty
            lock.unlock()
            if isDone { return }
            for command in todo { command(self) }
            for child in children { advance(child) }
            if todo.isEmpty { sleep() }
        }
    }

    /// Ends the thread after the commands before this one; children that still run get their parent death signal.
    ///
    /// False when it was closed before.
    func close() -> Bool {
        lock.lock()
        defer { lock.unlock() }
        if isClosed { return false }
        isClosed = true
        var one = UInt64(1)
        _ = write(wakeup, &one, MemoryLayout<UInt64>.size)
        return true
    }

    func start(_ specification: ChildSpecification) -> Result<pid_t, SupervisorError> {
        children.removeAll { $0.name == specification.name && $0.status.hasEnded }
        guard !children.contains(where: { $0.name == specification.name && !$0.isCommand }) else {
            return .failure(SupervisorError(.invalidSpecification, "\(specification.name) was started already"))
        }
        let child = Child(specification, isCommand: false)
        do throws(SupervisorError) {
            let processID = try spawn(child)
            children.append(child)
            emit(.started(name: child.name, processID: processID))
            return .success(processID)
        } catch {
            return .failure(error)
        }
    }

    /// Starts a program that ends by itself; it is killed at the deadline.
    func runCommand(
        _ specification: ChildSpecification,
        timeout: Duration,
        whenEnded: @escaping (Result<ExitStatus, SupervisorError>) -> Void
    ) {
        let child = Child(specification, isCommand: true)
        child.isStopping = true
        child.killAt = ContinuousClock.now + timeout
        child.whenEnded = [{ whenEnded(.success($0)) }]
        do throws(SupervisorError) {
            _ = try spawn(child)
            children.append(child)
        } catch {
            whenEnded(.failure(error))
        }
    }

    func stop(_ name: String, whenEnded: @escaping () -> Void) {
        guard let child = children.first(where: { $0.name == name && !$0.isCommand }) else { return whenEnded() }
        child.whenEnded.append { _ in whenEnded() }
        guard !child.isStopping else { return }
        child.isStopping = true
        child.restartAt = nil
        guard let processID = child.processID else { return end(child, child.lastExit ?? .unknown) }
        kill(processID, child.specification.stopSignal)
        child.killAt = ContinuousClock.now + child.specification.gracePeriod
    }

    var statuses: [ChildStatus] { children.filter { !$0.isCommand }.map(\.status) }

    private func spawn(_ child: Child) throws(SupervisorError) -> pid_t {
        try child.spawn(in: directory)
        guard let processID = child.processID else { return 0 }
        guard !child.isCommand else { return processID }
        do throws(SupervisorError) {
            try directory.writePidFile(child.name, processID)
        } catch {
            kill(-processID, SIGKILL)
            waitpid(processID, nil, 0)
            child.noteExit(.signalled(SIGKILL))
            throw error
        }
        logger.info("process started", metadata: ["name": "\(child.name)", "pid": "\(processID)"])
        return processID
    }

    private func advance(_ child: Child) {
        let now = ContinuousClock.now
        if let processID = child.processID {
            var status: Int32 = 0
            let result = waitpid(processID, &status, WNOHANG)
            if result == processID {
                noteExit(child, ExitStatus(waitStatus: status))
            } else if result < 0, errno == ECHILD {
                noteExit(child, .unknown)
            } else if let killAt = child.killAt, killAt <= now {
                // The group: what it started goes with it.
                kill(-processID, SIGKILL)
                kill(processID, SIGKILL)
                child.killAt = nil
                logger.warning("process killed: it did not end in time", metadata: ["name": "\(child.name)"])
            }
        } else if let restartAt = child.restartAt, restartAt <= now {
            restart(child)
        }
    }

    private func noteExit(_ child: Child, _ status: ExitStatus) {
        let age = ContinuousClock.now - child.startedAt
        child.noteExit(status)
        if child.isStopping { return end(child, status) }
        let backOff = child.specification.backOff
        if age >= backOff.resetAfter { child.nextDelay = backOff.initial }
        let delay = restarts ? child.nextDelay : nil
        logger.warning(
            "process ended",
            metadata: [
                "name": "\(child.name)", "status": "\(status)", "restarts": "\(delay.map { "after \($0)" } ?? "no")",
            ]
        )
        if let delay {
            scheduleRestart(child, after: delay)
        } else {
            directory.removePidFile(child.name)
        }
        emit(.exited(name: child.name, status: status, restartsAfter: delay))
    }

    private func scheduleRestart(_ child: Child, after delay: Duration) {
        child.restartAt = ContinuousClock.now + delay
        child.nextDelay = min(delay * 2, child.specification.backOff.maximum)
    }

    private func restart(_ child: Child) {
        do throws(SupervisorError) {
            let processID = try spawn(child)
            child.restartCount += 1
            emit(.restarted(name: child.name, processID: processID))
        } catch {
            logger.error("process could not be restarted", metadata: ["name": "\(child.name)", "error": "\(error)"])
            scheduleRestart(child, after: child.nextDelay)
            emit(.restartFailed(name: child.name, reason: error.message))
        }
    }

    private func end(_ child: Child, _ status: ExitStatus) {
        children.removeAll { $0 === child }
        if !child.isCommand {
            directory.removePidFile(child.name)
            logger.info("process stopped", metadata: ["name": "\(child.name)", "status": "\(status)"])
            emit(.exited(name: child.name, status: status, restartsAfter: nil))
        }
        for notify in child.whenEnded { notify(status) }
    }

    private func sleep() {
        let now = ContinuousClock.now
        var wait: Duration?
        for child in children {
            for deadline in [child.killAt, child.restartAt] {
                if let deadline { wait = min(wait ?? deadline - now, deadline - now) }
            }
            if child.processID != nil, child.descriptor < 0 { wait = min(wait ?? Self.pollInterval, Self.pollInterval) }
        }
        var descriptors = [pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0)]
        for child in children where child.descriptor >= 0 {
            descriptors.append(pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0))
        }
        let milliseconds = wait.map { max(0, $0 / .milliseconds(1)).rounded(.up) } ?? -1
        poll(&descriptors, nfds_t(descriptors.count), Int32(min(milliseconds, 60_000)))
        var counter = UInt64(0)
        _ = read(wakeup, &counter, MemoryLayout<UInt64>.size)
    }
}
