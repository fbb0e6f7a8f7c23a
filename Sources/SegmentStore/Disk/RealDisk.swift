// SPDX-License-Identifier: Apache-2.0

import CPlatform
import DirectIO
import Glibc
import NIOConcurrencyHelpers
package import NIOCore

/// The disk of the machine.
package struct RealDisk: Disk {
    private let directWriting = DirectWriting()

    package init() {}

    package func createDirectory(_ path: String) throws(DiskError) {
        guard mkdir(path, 0o750) == 0 || errno == EEXIST else { throw DiskError("mkdir", number: errno) }
    }

    package func createFile(_ path: String) throws(DiskError) -> any DiskFile {
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw DiskError("create", number: errno) }
        return RealFile(descriptor: descriptor, directWriting: directWriting)
    }

    package func openFile(_ path: String) throws(DiskError) -> (any DiskFile)? {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw DiskError("open", number: errno)
        }
        return RealFile(descriptor: descriptor, directWriting: directWriting)
    }

    package func fileNames(in directory: String) throws(DiskError) -> [String] {
        guard let stream = opendir(directory) else { throw DiskError("opendir", number: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    package func removeFile(_ path: String) throws(DiskError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw DiskError("unlink", number: errno) }
    }

    package func moveFile(_ path: String, to newPath: String) throws(DiskError) {
        guard rename(path, newPath) == 0 else { throw DiskError("rename", number: errno) }
    }

    package func syncDirectory(_ path: String) throws(DiskError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DiskError("open directory", number: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw DiskError("fsync directory", number: errno) }
    }

    package func freeByteCount(at path: String) throws(DiskError) -> UInt64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw DiskError("statvfs", number: errno) }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    package func lock(_ path: String) throws(DiskError) -> (any AnyObject & Sendable)? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw DiskError("open lock", number: errno) }
        let file = RealFile(descriptor: descriptor, directWriting: directWriting)
        let number = varve_file_lock(descriptor)
        if number == EWOULDBLOCK { return nil }
        guard number == 0 else { throw DiskError("flock", number: number) }
        return file
    }
}

/// A file of the machine.
///
/// Its descriptor is used by any thread, only with operations that name their offset.
package final class RealFile: DiskFile {
    private let descriptor: CInt
    private let directWriting: DirectWriting
    /// The same file open past the page cache, from the first such write until nothing more is to come.
    private let direct = NIOLockedValueBox<DirectWriting.Descriptor?>(nil)

    init(descriptor: CInt, directWriting: DirectWriting) {
        self.descriptor = descriptor
        self.directWriting = directWriting
    }

    /// A file that was opened elsewhere; closes `descriptor` in the end.
    package convenience init(descriptor: CInt) {
        self.init(descriptor: descriptor, directWriting: DirectWriting())
    }

    deinit { close(descriptor) }

    package func byteCount() throws(DiskError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DiskError("fstat", number: errno) }
        return UInt64(max(0, status.st_size))
    }

    package func read(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: byteCount)
        var failure: CInt = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: byteCount) { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            var done = 0
            while done < byteCount {
                let count = pread(descriptor, base + done, byteCount - done, off_t(offset) + off_t(done))
                if count < 0 {
                    if errno == EINTR { continue }
                    failure = errno
                    break
                }
                if count == 0 { break }
                done += count
            }
            return done
        }
        guard failure == 0 else { throw DiskError("pread", number: failure) }
        return buffer
    }

    package func readInMemory(at offset: UInt64, byteCount: Int) -> ByteBuffer? {
        var buffer = ByteBufferAllocator().buffer(capacity: byteCount)
        let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: byteCount) { bytes in
            max(0, Int(varve_file_read_cached(descriptor, bytes.baseAddress, Int64(byteCount), Int64(offset))))
        }
        return count == byteCount ? buffer : nil
    }

    package func readPastCache(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer {
        do throws(DirectReading.Failure) {
            if let bytes = try DirectReading.read(descriptor, at: offset, byteCount: byteCount) { return bytes }
        } catch {
            throw DiskError("pread", number: error.number)
        }
        // This file system can't: dropped before, it comes from the disk, and dropped after, it stays out of memory.
        _ = varve_file_drop_cached_range(descriptor, Int64(offset), Int64(byteCount))
        defer { _ = varve_file_drop_cached_range(descriptor, Int64(offset), Int64(byteCount)) }
        return try read(at: offset, byteCount: byteCount)
    }

    package func write(_ buffers: [ByteBuffer], at offset: UInt64) throws(DiskError) {
        let failure = directWriting.write(buffers, at: offset, descriptor: descriptor, direct: direct)
        guard failure == 0 else { throw DiskError("pwritev", number: failure) }
    }

    package func sync() throws(DiskError) {
        guard fdatasync(descriptor) == 0 else { throw DiskError("fdatasync", number: errno) }
    }

    package func allocate(_ range: Range<UInt64>) throws(DiskError) {
        let number = varve_file_allocate(descriptor, Int64(range.lowerBound), Int64(range.count))
        guard number == 0 else { throw DiskError("fallocate", number: number) }
    }

    package func cutReserve(at byteCount: UInt64) throws(DiskError) {
        // Nothing is written behind what is cut.
        direct.withLockedValue { $0 = nil }
        guard ftruncate(descriptor, off_t(byteCount)) == 0 else { throw DiskError("ftruncate", number: errno) }
    }

    package func releaseUnwritten(from offset: UInt64) {
        // A file system that can't do this keeps the space: a matter of economy only.
        _ = varve_file_release_unwritten(descriptor, Int64(offset))
    }

    package func nextData(at offset: UInt64) -> UInt64? {
        let data = varve_file_next_data(descriptor, Int64(offset))
        return data < 0 ? nil : UInt64(data)
    }

    package func dropCache() {
        _ = varve_file_drop_cache(descriptor)
    }
}
