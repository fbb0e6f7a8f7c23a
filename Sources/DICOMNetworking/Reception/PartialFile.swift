// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

/// A file that is being written under a temporary name in a directory, and goes when it is released before it got its own.
///
/// Blocks; for one thread at a time.
final class PartialFile: Sendable {
    private let folder: CInt
    private let descriptor: CInt
    private let name: String

    /// `folder` has to stay open for as long.
    init(in folder: CInt) throws(DICOMNetworkError) {
        let name = ".varve-get-\(String(UInt64.random(in: 0...UInt64.max), radix: 16)).part"
        let descriptor = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw InstanceFolder.failed("make a file") }
        self.folder = folder
        self.descriptor = descriptor
        self.name = name
    }

    deinit {
        close(self.descriptor)
        self.discard()
    }

    /// Takes away its temporary name; nothing is there any more once it has been discarded or has its own name.
    func discard() {
        unlinkat(self.folder, self.name, 0)
    }

    func append(_ bytes: ByteBuffer) throws(DICOMNetworkError) {
        var rest = bytes
        while rest.readableBytes > 0 {
            let written = rest.withUnsafeReadableBytes { write(self.descriptor, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw InstanceFolder.failed("write") }
            rest.moveReaderIndex(forwardBy: written)
        }
    }

    /// Syncs what was written and gives it its name, `study/series/name` in `folder`; durable when this returns.
    ///
    /// - Precondition: the parts of the name are names, not paths.
    func publish(study: String, series: String, name: String, in folder: CInt) throws(DICOMNetworkError) {
        guard fsync(self.descriptor) == 0 else { throw InstanceFolder.failed("sync a file") }
        let studyFolder = try Self.openFolder(study, in: folder)
        defer { close(studyFolder) }
        let seriesFolder = try Self.openFolder(series, in: studyFolder)
        defer { close(seriesFolder) }
        guard renameat(folder, self.name, seriesFolder, name) == 0 else { throw InstanceFolder.failed("name a file") }
        for directory in [seriesFolder, studyFolder, folder] {
            guard fsync(directory) == 0 else { throw InstanceFolder.failed("sync a directory") }
        }
    }

    /// Opens a directory in another, made where it is missing; a link to one elsewhere is not followed.
    private static func openFolder(_ name: String, in folder: CInt) throws(DICOMNetworkError) -> CInt {
        guard mkdirat(folder, name, 0o777) == 0 || errno == EEXIST else {
            throw InstanceFolder.failed("make a directory")
        }
        let descriptor = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw InstanceFolder.failed("open a directory") }
        return descriptor
    }
}
