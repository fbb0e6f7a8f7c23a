// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Logging

/// The files of one supervised directory: `run/NAME.pid`, `run/varve.lock`, `log/NAME.log`.
///
/// Owned by the supervisor; pid files are touched by its thread only.
struct RunDirectory: Sendable {
    /// Set in each child's environment, so that a later supervisor knows its predecessor's children for certain.
    static let marker = "VARVE_SUPERVISED_DIRECTORY"

    /// Absolute, symbolic links resolved.
    let path: String

    init(creating directory: String) throws(SupervisorError) {
        for folder in [directory, directory + "/run", directory + "/log"] {
            do {
                try FileManager.default.createDirectory(
                    atPath: folder,
                    withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o755]
                )
            } catch {
                throw SupervisorError(.fileSystem, "cannot make the directory \(folder): \(error.localizedDescription)")
            }
        }
        guard let resolved = realpath(directory, nil) else {
            throw SupervisorError(.fileSystem, "cannot find the directory \(directory): \(systemMessage(errno))")
        }
        defer { free(resolved) }
        path = String(cString: resolved)
    }

    func pidFile(_ name: String) -> String { "\(path)/run/\(name).pid" }
    func logFile(_ name: String) -> String { "\(path)/log/\(name).log" }

    // MARK: - Lock

    /// Takes the lock that keeps two supervisors apart; the descriptor holds it until it is closed.
    func lock() throws(SupervisorError) -> Int32 {
        let file = "\(path)/run/varve.lock"
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw SupervisorError(.fileSystem, "cannot open \(file): \(systemMessage(errno))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let owner = Self.readProcessID(file).map { " (process \($0))" } ?? ""
            close(descriptor)
            throw SupervisorError(
                .alreadyRunning,
                "another supervisor\(owner) runs on \(path): stop it first, or use another directory"
            )
        }
        let text = "\(getpid())\n"
        _ = ftruncate(descriptor, 0)
        _ = text.withCString { pwrite(descriptor, $0, strlen($0), 0) }
        return descriptor
    }

    // MARK: - Pid files

    /// Writes the file whole or not at all.
    func writePidFile(_ name: String, _ processID: pid_t) throws(SupervisorError) {
        let temporary = pidFile(name) + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw SupervisorError(.fileSystem, "cannot write \(temporary): \(systemMessage(errno))")
        }
        let text = "\(processID)\n"
        let written = text.withCString { write(descriptor, $0, strlen($0)) }
        close(descriptor)
        guard written == text.utf8.count, rename(temporary, pidFile(name)) == 0 else {
            throw SupervisorError(.fileSystem, "cannot write \(pidFile(name)): \(systemMessage(errno))")
        }
    }

    func removePidFile(_ name: String) { unlink(pidFile(name)) }

    static func readProcessID(_ file: String) -> pid_t? {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }  // missing: no process
        return text.split(whereSeparator: \.isWhitespace).first.flatMap { pid_t($0) }
    }

    // MARK: - What an earlier supervisor left

    /// Ends processes whose pid files an earlier supervisor left behind when it was killed.
    ///
    /// The kernel should have told them to end already. A process counts as ours only when its environment names this
    /// directory: a number alone may have been given to somebody else since.
    func endLeftovers(stopSignals: [String: Int32], gracePeriod: Duration, logger: Logger) {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path + "/run")) ?? []  // nothing to end
        var alive: [(name: String, processID: pid_t)] = []
        for file in files.sorted() where file.hasSuffix(".pid") {
            let name = String(file.dropLast(4))
            guard let processID = Self.readProcessID(pidFile(name)), isOurs(processID) else {
                removePidFile(name)
                continue
            }
            logger.notice("ending a process that an earlier supervisor left", metadata: ["name": "\(name)"])
            kill(processID, stopSignals[name] ?? SIGTERM)
            alive.append((name, processID))
        }
        let deadline = ContinuousClock.now + gracePeriod
        while true {
            alive.removeAll { child in
                if isOurs(child.processID) { return false }
                removePidFile(child.name)
                return true
            }
            if alive.isEmpty { return }
            let late = ContinuousClock.now - deadline
            if late > .zero { for child in alive { kill(child.processID, SIGKILL) } }
            if late > gracePeriod {
                logger.error(
                    "processes of an earlier supervisor cannot be killed",
                    metadata: ["count": "\(alive.count)"]
                )
                return
            }
            usleep(20_000)
        }
    }

    private func isOurs(_ processID: pid_t) -> Bool {
        guard processID > 1, processID != getpid(), kill(processID, 0) == 0 || errno == EPERM else { return false }
        // Unreadable or gone: not a process that we could have started. A zombie's is empty.
        guard let environment = FileManager.default.contents(atPath: "/proc/\(processID)/environ") else { return false }
        let wanted = Data("\(Self.marker)=\(path)".utf8)
        return environment.split(separator: 0).contains { $0.elementsEqual(wanted) }
    }
}

/// The system's words for an errno.
func systemMessage(_ number: Int32) -> String { String(cString: strerror(number)) }
