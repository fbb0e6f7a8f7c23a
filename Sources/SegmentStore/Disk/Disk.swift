// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The file operations that a store is made of, so that tests can stop, fail or lose any of them.
///
/// Every call but ``DiskFile/readInMemory(at:byteCount:)`` blocks; none is made on an event loop or on the cooperative pool.
package protocol Disk: Sendable {
    /// Makes a directory unless it is there.
    func createDirectory(_ path: String) throws(DiskError)
    /// Makes a file that is not there yet.
    func createFile(_ path: String) throws(DiskError) -> any DiskFile
    /// Opens a file for reading and writing; `nil` when it is not there.
    func openFile(_ path: String) throws(DiskError) -> (any DiskFile)?
    /// The names of the entries of a directory, in order.
    func fileNames(in directory: String) throws(DiskError) -> [String]
    func removeFile(_ path: String) throws(DiskError)
    /// Gives a file another name on the same disk; durable when the directories are synced.
    func moveFile(_ path: String, to newPath: String) throws(DiskError)
    /// Makes the entries of a directory durable.
    func syncDirectory(_ path: String) throws(DiskError)
    func freeByteCount(at path: String) throws(DiskError) -> UInt64
    /// Takes the lock in `path` for as long as the result lives; `nil` when another process has it.
    func lock(_ path: String) throws(DiskError) -> (any AnyObject & Sendable)?
}

/// An open file; closed when the last reference goes.
package protocol DiskFile: AnyObject, Sendable {
    func byteCount() throws(DiskError) -> UInt64
    /// The bytes at `offset`: fewer than `byteCount` only at the file's end.
    func read(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer
    /// The bytes at `offset` when all of them are in memory; `nil` when they are not, or nobody can tell.
    ///
    /// Does not wait for the disk, so it may be called from an event loop.
    func readInMemory(at offset: UInt64, byteCount: Int) -> ByteBuffer?
    /// The bytes at `offset` as the disk has them, whatever is in memory, and without leaving them there.
    func readPastCache(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer
    /// Writes all of `buffers`, one after another, at `offset`.
    func write(_ buffers: [ByteBuffer], at offset: UInt64) throws(DiskError)
    /// Makes everything written so far durable (`fdatasync`).
    func sync() throws(DiskError)
    /// Reserves space for the bytes in `range` and extends the file to its end.
    func allocate(_ range: Range<UInt64>) throws(DiskError)
    /// Cuts the reserved space behind `byteCount`, where nothing was ever written.
    func cutReserve(at byteCount: UInt64) throws(DiskError)
    /// Gives space that was reserved at or after `offset` and never written back, as far as the disk can tell.
    func releaseUnwritten(from offset: UInt64)
    /// The first offset at or after `offset` that may hold anything but zeros.
    func nextData(at offset: UInt64) -> UInt64?
    /// Makes later reads come from the disk, not from memory.
    func dropCache()
}

extension DiskFile {
    package func readInMemory(at offset: UInt64, byteCount: Int) -> ByteBuffer? { nil }
}

/// A file operation that failed.
package struct DiskError: Error, Sendable, CustomStringConvertible {
    package let operation: String
    package let number: Int32

    package init(_ operation: String, number: Int32) {
        self.operation = operation
        self.number = number
    }

    package var description: String { "\(operation) failed with errno \(number)" }
}
