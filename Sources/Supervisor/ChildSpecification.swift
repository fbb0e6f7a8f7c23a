// SPDX-License-Identifier: Apache-2.0

public import Glibc

/// What a supervised process is: how to start it, how to stop it, what to do when it dies.
public struct ChildSpecification: Sendable {
    /// Waits between a death and the next start: doubling, and back to the first after a long life.
    public struct BackOff: Sendable, Hashable {
        public var initial: Duration
        public var maximum: Duration
        public var resetAfter: Duration

        public init(
            initial: Duration = .milliseconds(200),
            maximum: Duration = .seconds(5),
            resetAfter: Duration = .seconds(30)
        ) {
            self.initial = initial
            self.maximum = maximum
            self.resetAfter = resetAfter
        }
    }

    /// Names `run/NAME.pid` and `log/NAME.log`: lower-case letters, digits and hyphens.
    public var name: String
    /// A path; PATH is not searched.
    public var executable: String
    /// Without the program's own name.
    public var arguments: [String]
    /// Set on top of what this process has in its environment.
    public var environment: [String: String]
    /// Nil: this process's directory.
    public var workingDirectory: String?
    /// Nil: this process's user.
    public var user: SystemUser?
    /// What asks it to end.
    public var stopSignal: Int32
    /// How long it may take to end before it is killed, with its process group.
    public var gracePeriod: Duration
    /// What the kernel sends it when this process dies without stopping it.
    public var parentDeathSignal: Int32
    public var backOff: BackOff
    /// Called on the supervisor's thread before each start; must not block.
    public var beforeStart: (@Sendable () -> Void)?

    public init(
        name: String,
        executable: String,
        arguments: [String] = [],
        environment: [String: String] = [:],
        workingDirectory: String? = nil,
        user: SystemUser? = nil,
        stopSignal: Int32 = SIGTERM,
        gracePeriod: Duration = .seconds(10),
        parentDeathSignal: Int32 = SIGTERM,
        backOff: BackOff = BackOff(),
        beforeStart: (@Sendable () -> Void)? = nil
    ) {
        self.name = name
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.user = user
        self.stopSignal = stopSignal
        self.gracePeriod = gracePeriod
        self.parentDeathSignal = parentDeathSignal
        self.backOff = backOff
        self.beforeStart = beforeStart
    }

    func validate() throws(SupervisorError) {
        let isNamed =
            !name.isEmpty && name.utf8.count <= 64
            && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
        guard isNamed else {
            throw SupervisorError(
                .invalidSpecification,
                "a process name must be 1 to 64 lower-case letters, digits and hyphens, not '\(name)'"
            )
        }
        for text in [executable, workingDirectory ?? ""] + arguments + environment.keys + environment.values
        where text.utf8.contains(0) {
            throw SupervisorError(.invalidSpecification, "an argument of \(name) contains a NUL byte")
        }
    }
}

/// How a process ended.
public enum ExitStatus: Sendable, Hashable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)
    /// Somebody else took its status.
    case unknown

    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7F
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xFF) : .signalled(signal)
    }

    public var description: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .signalled(let signal): "signal \(signal)"
        case .unknown: "unknown status"
        }
    }
}

/// What happened to a child.
public enum ChildEvent: Sendable, Hashable {
    case started(name: String, processID: pid_t)
    /// It ended; with a delay it will be started again.
    case exited(name: String, status: ExitStatus, restartsAfter: Duration?)
    case restarted(name: String, processID: pid_t)
    /// A restart failed in the operating system; it is tried again.
    case restartFailed(name: String, reason: String)
}

/// One line of `ProcessSupervisor.children()`.
public struct ChildStatus: Sendable, Hashable {
    public let name: String
    /// Nil while it is dead.
    public let processID: pid_t?
    public let restartCount: Int
    public let lastExit: ExitStatus?
    /// Dead, and it stays so.
    public var hasEnded: Bool { processID == nil && !isWaitingToRestart }
    let isWaitingToRestart: Bool
}
