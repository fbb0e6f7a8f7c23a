// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A small file of text that is read and replaced as a whole.
///
/// Its calls block.
struct PEMFile {
    private static let maximumByteCount = 1 << 20

    let path: String

    init(_ path: String) {
        self.path = path
    }

    /// The text; `nil` when there is no such file.
    func text() throws(CertificateFileError) -> String? {
        guard let file = fopen(path, "re") else {
            if errno == ENOENT { return nil }
            throw failure("read")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: Self.maximumByteCount)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else { throw failure("read") }
        guard count < bytes.count else { throw CertificateFileError("\(path) is too large to be a certificate or key") }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// Written beside with the mode it is to have, synced, renamed.
    func replace(with text: String, mode: mode_t) throws(CertificateFileError) {
        let temporary = path + ".new"
        guard unlink(temporary) == 0 || errno == ENOENT else { throw failure("write") }
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure("write") }
        let bytes = Array(text.utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else { throw failure("write") }
    }

    /// Makes a directory for keys, unless it is there already.
    static func makeDirectory(_ path: String) throws(CertificateFileError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw CertificateFileError("cannot make \(path): \(String(cString: strerror(errno)))")
        }
    }

    private func failure(_ what: String) -> CertificateFileError {
        CertificateFileError("cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
