// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// The directory of a private server's socket, short enough for a Unix address.
///
/// It lies in `DIR/run/postgres`. Where that is too long for an address (107 bytes), it lies in `/tmp` under a name made
/// from DIR, the same at every start. `DIR/run/postgres.socket` says which.
enum PostgresSocket {
    /// The port only names the socket; nothing listens on the network.
    static let port = 5432
    /// `sun_path` has 108 bytes with its NUL.
    private static let longestAddress = 107

    static func directory(for directory: String) -> String {
        let near = "\(directory)/run/postgres"
        if "\(near)/.s.PGSQL.\(port)".utf8.count <= longestAddress { return near }
        return "/tmp/varve-\(String(hash(directory), radix: 16))"
    }

    /// Makes the directory for `user` alone.
    static func prepare(for directory: String, user: SystemUser?) throws(SupervisorError) -> String {
        let path = Self.directory(for: directory)
        let owner = user?.userID ?? geteuid()
        if mkdir(path, 0o700) != 0 {
            guard errno == EEXIST else {
                throw SupervisorError(.fileSystem, "cannot make the directory \(path): \(systemMessage(errno))")
            }
            // In /tmp anybody could have been first: only a directory that is ours, not a link to elsewhere, will do.
            var entry = stat()
            guard lstat(path, &entry) == 0, entry.st_mode & S_IFMT == S_IFDIR,
                entry.st_uid == owner || entry.st_uid == geteuid()
            else {
                throw SupervisorError(.fileSystem, "\(path) belongs to somebody else: remove it")
            }
        }
        guard chmod(path, 0o700) == 0, user.map({ chown(path, $0.userID, $0.groupID) == 0 }) ?? true else {
            throw SupervisorError(.fileSystem, "cannot give \(path) to the database: \(systemMessage(errno))")
        }
        do {
            try Data("\(path)\n".utf8).write(to: URL(filePath: "\(directory)/run/postgres.socket"), options: .atomic)
        } catch {
            throw SupervisorError(.fileSystem, "cannot write \(directory)/run/postgres.socket: \(error)")
        }
        return path
    }

    /// FNV-1a: the same in every process, unlike Swift's hashing.
    private static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }
}
