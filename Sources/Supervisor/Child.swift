// SPDX-License-Identifier: Apache-2.0

import CSpawn
import Foundation
import Glibc

/// One supervised process's state; touched by the supervisor's thread only.
final class Child {
    typealias Instant = ContinuousClock.Instant

    let specification: ChildSpecification
    /// Runs once: never restarted, no pid file.
    let isCommand: Bool
    var processID: pid_t?
    var descriptor: Int32 = -1
    var startedAt = ContinuousClock.now
    var restartCount = 0
    var lastExit: ExitStatus?
    /// When it is to be started again.
    var restartAt: Instant?
    /// When it is to be killed.
    var killAt: Instant?
    var isStopping = false
    var nextDelay: Duration
    /// Called when it has ended for good.
    var whenEnded: [(ExitStatus) -> Void] = []

    init(_ specification: ChildSpecification, isCommand: Bool) {
        self.specification = specification
        self.isCommand = isCommand
        nextDelay = specification.backOff.initial
    }

    var name: String { specification.name }

    var status: ChildStatus {
        ChildStatus(
            name: name,
            processID: processID,
            restartCount: restartCount,
            lastExit: lastExit,
            isWaitingToRestart: restartAt != nil
        )
    }

    /// Starts the process; must be called on the thread that outlives it.
    func spawn(in directory: RunDirectory) throws(SupervisorError) {
        specification.beforeStart?()
        let logFile = directory.logFile(name)
        let output = open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard output >= 0 else {
            throw SupervisorError(.fileSystem, "cannot open \(logFile): \(systemMessage(errno))")
        }
        defer { close(output) }
        var environment = ProcessInfo.processInfo.environment
        environment.merge(specification.environment) { $1 }
        environment[RunDirectory.marker] = directory.path
        let arguments = CStrings([specification.executable] + specification.arguments)
        let variables = CStrings(environment.map { "\($0.key)=\($0.value)" })
        var request = varve_spawn_request()
        request.arguments = UnsafePointer(arguments.pointer)
        request.environment = UnsafePointer(variables.pointer)
        request.output = output
        request.parent_death_signal = specification.parentDeathSignal
        var started: pid_t = 0
        let error = withExtendedLifetime((arguments, variables)) {
            specification.executable.withCString { executable in
                request.executable = executable
                return withOptionalCString(specification.workingDirectory) { workingDirectory in
                    request.working_directory = workingDirectory
                    return (specification.user?.groups ?? []).withUnsafeBufferPointer { groups in
                        if let user = specification.user {
                            request.changes_user = 1
                            request.user = user.userID
                            request.group = user.groupID
                            request.groups = groups.baseAddress
                            request.group_count = groups.count
                        }
                        return varve_spawn(&request, &started)
                    }
                }
            }
        }
        guard error == 0 else {
            throw SupervisorError(
                .spawnFailed,
                "cannot start \(name) (\(specification.executable)): \(systemMessage(error))"
            )
        }
        processID = started
        descriptor = varve_pidfd_open(started)
        startedAt = ContinuousClock.now
        restartAt = nil
    }

    /// Notes that the process is gone.
    func noteExit(_ status: ExitStatus) {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        processID = nil
        killAt = nil
        lastExit = status
    }
}

private func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    guard let text else { return body(nil) }
    return text.withCString { body($0) }
}

/// A NULL-terminated array of C strings, as `execve` takes it.
private final class CStrings {
    let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointer = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { (pointer + index).initialize(to: strdup(string)) }
        (pointer + count).initialize(to: nil)
    }

    deinit {
        for index in 0..<count { free(pointer[index]) }
        pointer.deallocate()
    }
}
