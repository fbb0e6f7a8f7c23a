// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A server's data directory as seen from outside: its version, its owner, and processes that still use it.
struct PostgresDataDirectory: Sendable {
    let path: String

    var exists: Bool { access(path + "/PG_VERSION", F_OK) == 0 }

    /// The major version that made it; nil when it does not exist.
    var version: Int? {
        guard let text = try? String(contentsOfFile: path + "/PG_VERSION", encoding: .utf8) else { return nil }  // none
        return Int(text.prefix { $0.isNumber })
    }

    /// Server processes that work in it: each makes the data directory its working directory.
    var processes: [pid_t] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []  // no /proc: nothing known
        return entries.compactMap { pid_t($0) }.filter { processID in
            // The program too: an administrator's shell may stand in the same directory.
            Self.link("/proc/\(processID)/cwd") == path
                && Self.link("/proc/\(processID)/exe")?.split(separator: "/").last?.hasPrefix("postgres") == true
        }
    }

    /// The postmaster that its lock file names, when that process is one of this directory's.
    var postmaster: pid_t? {
        guard let processID = RunDirectory.readProcessID(path + "/postmaster.pid") else { return nil }
        return processes.contains(processID) ? processID : nil
    }

    /// Ends what a killed postmaster left: it must be gone before another can start.
    ///
    /// Idle backends notice the death of their postmaster, but one that is busy goes on to the end of its query, and
    /// while it holds the shared memory no new postmaster starts. SIGQUIT is what the postmaster itself sends after a
    /// crash: they drop everything, and recovery from the log follows.
    func endOrphans() {
        guard postmaster == nil else { return }
        for processID in processes { kill(processID, SIGQUIT) }
    }

    /// Removes a lock file whose process id now belongs to a stranger, which Postgres would respect for ever.
    ///
    /// Only when no process works in the directory: the file also guards shared memory that orphans may hold.
    func removeStaleLock() {
        let file = path + "/postmaster.pid"
        guard let processID = RunDirectory.readProcessID(file), processID > 0 else { return }
        guard kill(processID, 0) == 0 || errno == EPERM, processes.isEmpty else { return }
        unlink(file)
    }

    /// The first directory above the data that `user` may not pass through.
    static func firstImpassable(above path: String, for user: SystemUser) -> String? {
        var current = ""
        for component in path.split(separator: "/").dropLast() {
            current += "/" + component
            var entry = stat()
            guard stat(current, &entry) == 0 else { continue }
            let bit: mode_t =
                if entry.st_uid == user.userID {
                    S_IXUSR
                } else if entry.st_gid == user.groupID || user.groups.contains(entry.st_gid) {
                    S_IXGRP
                } else {
                    S_IXOTH
                }
            if entry.st_mode & bit == 0 { return current }
        }
        return nil
    }

    private static func link(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlink(path, $0, text.count) } ?? -1
            }
        }
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }
}
