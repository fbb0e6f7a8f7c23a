// SPDX-License-Identifier: Apache-2.0

import CPlatform
import DirectIO
import Glibc
import NIOConcurrencyHelpers
import NIOCore

/// The calls of the operating system that a store in a directory needs.
///
/// They block: only for threads made for it.
enum FileSystem {
    /// An open file, closed when nobody has it any more.
    final class File: Sendable {
        let descriptor: CInt
        fileprivate let writing = DirectWriting()
        /// The same file open past the page cache, once something was written that way.
        fileprivate let direct = NIOLockedValueBox<DirectWriting.Descriptor?>(nil)

        init(descriptor: CInt) { self.descriptor = descriptor }

        deinit { close(descriptor) }
    }

    enum Kind: Equatable {
        case file(byteCount: UInt64)
        case directory
        case other
    }

    static func create(_ path: String) throws(ColdStoreError) -> File {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw failure("create", path) }
        return File(descriptor: descriptor)
    }

    /// Opens for reading; `nil` when there is none.
    static func openFile(_ path: String) throws(ColdStoreError) -> File? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("open", path)
        }
        return File(descriptor: descriptor)
    }

    static func byteCount(of file: File, _ path: String) throws(ColdStoreError) -> UInt64 {
        var status = Glibc.stat()
        guard fstat(file.descriptor, &status) == 0 else { throw failure("stat", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ColdStoreError(.invalid, "\(path) is no file") }
        return UInt64(max(0, status.st_size))
    }

    /// How long nothing has been written to a file, by the machine's clock; `nil` when there is no such file.
    static func secondsSinceWritten(_ path: String) throws(ColdStoreError) -> Int64? {
        var status = Glibc.stat()
        guard stat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("stat", path)
        }
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec - status.st_mtim.tv_sec)
    }

    /// `nil` when there is nothing.
    static func kind(of path: String) throws(ColdStoreError) -> Kind? {
        var status = Glibc.stat()
        guard stat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("stat", path)
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file(byteCount: UInt64(max(0, status.st_size)))
        case S_IFDIR: return .directory
        default: return .other
        }
    }

    /// Bytes past the page cache are in pieces that begin and end at a multiple of this.
    static let blockByteCount = DirectWriting.alignment

    /// Writes everything at `offset`: whole blocks past the page cache where the file system can.
    ///
    /// What a pack has is not read soon, and pushes nothing out of memory that is.
    static func write(
        _ buffers: [ByteBuffer],
        at offset: UInt64,
        to file: File,
        _ path: String
    ) throws(ColdStoreError) {
        let number = file.writing.write(buffers, at: offset, descriptor: file.descriptor, direct: file.direct)
        guard number == 0 else { throw failure("write", path, number: number) }
    }

    /// Reads `byteCount` bytes, fewer at the file's end.
    static func read(
        _ file: File,
        at offset: UInt64,
        byteCount: Int,
        _ path: String
    ) throws(ColdStoreError) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: byteCount)
        var failed: CInt = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: byteCount) { bytes in
            var done = 0
            while done < byteCount, let base = bytes.baseAddress {
                let count = pread(file.descriptor, base + done, byteCount - done, off_t(offset) + off_t(done))
                if count < 0 && errno == EINTR { continue }
                if count < 0 { failed = errno }
                guard count > 0 else { break }
                done += count
            }
            return done
        }
        guard failed == 0 else { throw failure("read", path, number: failed) }
        return buffer
    }

    /// The same as the disk has it, not what is in memory of it.
    static func readPastCache(
        _ file: File,
        at offset: UInt64,
        byteCount: Int,
        _ path: String
    ) throws(ColdStoreError) -> ByteBuffer {
        do throws(DirectReading.Failure) {
            let bytes = try DirectReading.read(file.descriptor, at: offset, byteCount: byteCount)
            if let bytes { return bytes }
        } catch {
            throw failure("read", path, number: error.number)
        }
        // This file system can't: what has been synced is dropped, as far as the system does that.
        _ = varve_file_drop_cached_range(file.descriptor, Int64(clamping: offset), Int64(byteCount))
        return try read(file, at: offset, byteCount: byteCount, path)
    }

    /// Has what is in memory of a range brought to the disk from now on, so that less is left for the sync at the end.
    static func beginWriting(_ file: File, at offset: UInt64, byteCount: UInt64) {
        varve_file_begin_writing(file.descriptor, Int64(clamping: offset), Int64(clamping: byteCount))
    }

    static func sync(_ file: File, _ path: String) throws(ColdStoreError) {
        guard fdatasync(file.descriptor) == 0 else { throw failure("sync", path) }
    }

    static func syncDirectory(_ path: String) throws(ColdStoreError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("sync", path) }
    }

    /// Makes a directory; one that is there is fine.
    static func makeDirectory(_ path: String) throws(ColdStoreError) {
        guard mkdir(path, 0o750) == 0 || errno == EEXIST else { throw failure("make", path) }
    }

    /// Makes a directory, durably; one that is there is made durable, too.
    ///
    /// Whoever made it may have died before that, or not have come to it yet.
    static func makeDirectory(_ path: String, in parent: String) throws(ColdStoreError) {
        try makeDirectory(path)
        try syncDirectory(parent)
    }

    /// Gives a file its name for good, unless something has that name.
    static func publish(_ temporary: String, as path: String) throws(ColdStoreError) {
        // A second name and then one less, since a rename would replace what is there.
        if link(temporary, path) == 0 {
            _ = unlink(temporary)
            return
        }
        guard errno != EEXIST else { throw ColdStoreError(.exists, "\(path) is there already and is left as it is") }
        guard errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK else {
            throw failure("name", path)
        }
        // A file system without second names (SMB, FAT): nobody else makes this name, which has a pack's random id in it.
        guard try kind(of: path) == nil else {
            throw ColdStoreError(.exists, "\(path) is there already and is left as it is")
        }
        guard rename(temporary, path) == 0 else { throw failure("rename", path) }
    }

    /// Removes a file; one that is not there is fine.
    static func remove(_ path: String) throws(ColdStoreError) {
        guard unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR else { throw failure("remove", path) }
    }

    static func names(in directory: String) throws(ColdStoreError) -> [String] {
        guard let stream = opendir(directory) else { throw failure("list", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
            errno = 0
        }
        // A list that breaks off is no list.
        guard errno == 0 else { throw failure("list", directory) }
        return names
    }

    private static func failure(_ what: String, _ path: String, number: CInt = errno) -> ColdStoreError {
        let reason = String(cString: strerror(number))
        switch number {
        case ENOSPC, EDQUOT:
            return ColdStoreError(.full, "can't \(what) \(path): \(reason); make room there, then try again")
        case EACCES, EPERM, EROFS:
            return ColdStoreError(.denied, "can't \(what) \(path): \(reason); check the owner and how it is mounted")
        case ESTALE, ENOTCONN, EHOSTDOWN, EHOSTUNREACH, ETIMEDOUT, ENXIO, ENODEV:
            return ColdStoreError(.unavailable, "can't \(what) \(path): \(reason); is it mounted?")
        case ENOENT, ENOTDIR:
            return ColdStoreError(.unavailable, "can't \(what) \(path): there is no such directory; is it mounted?")
        default:
            return ColdStoreError(.failed, "can't \(what) \(path): \(reason)")
        }
    }
}
