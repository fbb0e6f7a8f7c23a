// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A small text file that is replaced as a whole: after a crash it has the old text or the new one.
///
/// Blocks: for the start of a process, or a thread made for it.
struct DurableTextFile {
    let path: String

    init(_ name: String, in directory: String) {
        self.path = directory + "/" + name
    }

    /// The text; `nil` when there is no such file.
    func read() throws(StorageNodeError) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("read")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw failure("read") }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Written beside, synced, renamed, and the directory synced.
    func replace(with text: String) throws(StorageNodeError) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create") }
        let bytes = Array(text.utf8)
        let isWritten = Glibc.write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else { throw failure("write") }
        let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("sync the directory of") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("sync the directory of") }
    }

    private func failure(_ what: String) -> StorageNodeError {
        StorageNodeError("cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
