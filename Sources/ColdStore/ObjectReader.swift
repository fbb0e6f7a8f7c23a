// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import NIOPosix

/// An object, or a file anywhere, that is read by ranges.
public struct ObjectReader: Sendable {
    public let byteCount: UInt64
    private let readRange: @Sendable (Range<UInt64>) async throws(ColdStoreError) -> ByteBuffer

    private init(
        byteCount: UInt64,
        readRange: @escaping @Sendable (Range<UInt64>) async throws(ColdStoreError) -> ByteBuffer
    ) {
        self.byteCount = byteCount
        self.readRange = readRange
    }

    /// An object of a store.
    ///
    /// - Throws: `.notFound`.
    public init(_ key: ObjectKey, in store: some ObjectStore) async throws(ColdStoreError) {
        guard let status = try await store.status(of: key) else {
            throw ColdStoreError(store.absence, "there is no \(key) in the store")
        }
        self.init(key, byteCount: status.byteCount, in: store)
    }

    /// An object of a store whose length is known, so that the store is not asked.
    public init(_ key: ObjectKey, byteCount: UInt64, in store: some ObjectStore) {
        self.init(byteCount: byteCount) { (range) async throws(ColdStoreError) in
            try await store.read(key, range)
        }
    }

    /// A file that is in no store; it stays open.
    ///
    /// With `fromDisk` it is read past what is in memory of it, so that what is read is what the disk has.
    ///
    /// - Throws: `.notFound`.
    public init(
        path: String,
        fromDisk: Bool = false,
        pool: NIOThreadPool = .singleton
    ) async throws(ColdStoreError) {
        let threads = FileThreads(pool)
        let (file, byteCount) = try await threads.run { () throws(ColdStoreError) -> (FileSystem.File, UInt64) in
            guard let file = try FileSystem.openFile(path) else {
                throw ColdStoreError(.notFound, "there is no file \(path)")
            }
            return (file, try FileSystem.byteCount(of: file, path))
        }
        self.init(byteCount: byteCount) { (range) async throws(ColdStoreError) in
            try await threads.run { () throws(ColdStoreError) in
                try FileRange.read(file, range, path, fromDisk: fromDisk)
            }
        }
    }

    /// The bytes of a range, all of them.
    public func read(_ range: Range<UInt64>) async throws(ColdStoreError) -> ByteBuffer {
        try await readRange(range)
    }
}

/// Reads all of a range of a file.
enum FileRange {
    static func read(
        _ file: FileSystem.File,
        _ range: Range<UInt64>,
        _ path: String,
        fromDisk: Bool = false
    ) throws(ColdStoreError) -> ByteBuffer {
        // No file has more, and no caller asks for what does not fit into memory.
        guard range.upperBound <= UInt64(Int64.max) else { throw ColdStoreError(.invalid, "no file is that long") }
        let end = try FileSystem.byteCount(of: file, path)
        guard range.upperBound <= end else {
            throw ColdStoreError(.failed, "\(path) has \(end) bytes, and some up to \(range.upperBound) were asked for")
        }
        let bytes =
            fromDisk
            ? try FileSystem.readPastCache(file, at: range.lowerBound, byteCount: range.count, path)
            : try FileSystem.read(file, at: range.lowerBound, byteCount: range.count, path)
        guard bytes.readableBytes == range.count else {
            throw ColdStoreError(.failed, "\(path) ends early: it became shorter while it was read")
        }
        return bytes
    }
}
