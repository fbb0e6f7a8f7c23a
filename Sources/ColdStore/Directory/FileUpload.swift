// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import NIOPosix

/// A file that appears whole or not at all: written under another name, synced, and only then given its own.
///
/// Nothing is written over. What a crash leaves behind is the temporary file.
public struct FileUpload: ObjectUpload {
    /// Bytes that are gathered before they go to the disk.
    private static let pieceByteCount = 4 << 20
    /// Pieces on their way at once.
    private static let runningLimit = 2
    /// Buffers that are gathered before they become one.
    private static let bufferLimit = 256

    private let path: String
    private let temporary: String
    private let file: FileSystem.File
    private let threads: FileThreads
    /// Folders of `path` that may have to be made, outermost first.
    private let folders: [String]
    private var pending: [ByteBuffer] = []
    private var pendingByteCount = 0
    /// The pieces before, on their way to the file while the next is made.
    private var running: [Task<Result<Void, ColdStoreError>, Never>] = []
    private var writtenByteCount: UInt64 = 0
    private var isOver = false

    /// Begins the file at `path`, whose directory must be there.
    public static func begin(
        at path: String,
        pool: NIOThreadPool = .singleton
    ) async throws(ColdStoreError) -> FileUpload {
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        guard !name.isEmpty, !path.hasSuffix("/") else { throw ColdStoreError(.invalid, "'\(path)' names no file") }
        let directory = parent(of: path)
        return try await begin(at: path, temporary: "\(directory)/.\(name).\(randomName())", FileThreads(pool))
    }

    static func begin(
        at path: String,
        temporary: String,
        folders: [String] = [],
        _ threads: FileThreads
    ) async throws(ColdStoreError) -> FileUpload {
        let file = try await threads.run { () throws(ColdStoreError) -> FileSystem.File in
            guard try FileSystem.kind(of: path) == nil else {
                throw ColdStoreError(.exists, "\(path) is there already and is left as it is")
            }
            return try FileSystem.create(temporary)
        }
        return FileUpload(path: path, temporary: temporary, file: file, threads: threads, folders: folders)
    }

    private init(path: String, temporary: String, file: FileSystem.File, threads: FileThreads, folders: [String]) {
        self.path = path
        self.temporary = temporary
        self.file = file
        self.threads = threads
        self.folders = folders
    }

    public mutating func write(_ bytes: ByteBuffer) async throws(ColdStoreError) {
        guard !isOver else { throw ColdStoreError(.invalid, "\(path) is finished or given up") }
        guard bytes.readableBytes > 0 else { return }
        pending.append(bytes)
        pendingByteCount += bytes.readableBytes
        if pending.count == Self.bufferLimit { pending = [Self.joined(pending)] }
        if pendingByteCount >= Self.pieceByteCount { try await flush() }
    }

    public mutating func finish() async throws(ColdStoreError) {
        guard !isOver else { throw ColdStoreError(.invalid, "\(path) is finished or given up") }
        try await flush(isLast: true)
        try await settle(atMost: 0)
        isOver = true
        let (path, temporary, file, folders) = (path, temporary, file, folders)
        try await threads.run { () throws(ColdStoreError) in
            try Self.publish(file, temporary, as: path, folders: folders)
        }
    }

    public mutating func abort() async {
        guard !isOver else { return }
        isOver = true
        for write in running { _ = await write.value }
        running = []
        let temporary = temporary
        // The pool is closed: then nothing can be removed any more.
        try? await threads.run { () throws(ColdStoreError) in Self.discard(temporary) }
    }

    private static func publish(
        _ file: FileSystem.File,
        _ temporary: String,
        as path: String,
        folders: [String]
    ) throws(ColdStoreError) {
        do throws(ColdStoreError) {
            // A sync that failed is not tried again: what was written may be gone from memory, too.
            try FileSystem.sync(file, temporary)
            for folder in folders { try FileSystem.makeDirectory(folder, in: parent(of: folder)) }
            try FileSystem.publish(temporary, as: path)
            try FileSystem.syncDirectory(parent(of: path))
        } catch {
            discard(temporary)
            throw error
        }
    }

    /// Has what is pending written while more is gathered; what comes of it is seen by the next call.
    ///
    /// What is no whole block is left for the next time, or for the last.
    private mutating func flush(isLast: Bool = false) async throws(ColdStoreError) {
        try await settle(atMost: Self.runningLimit - 1)
        let blocks = pendingByteCount / FileSystem.blockByteCount * FileSystem.blockByteCount
        let byteCount = isLast ? pendingByteCount : blocks
        let buffers = takePending(byteCount)
        guard byteCount > 0 else { return }
        let (offset, file, temporary, threads) = (writtenByteCount, file, temporary, threads)
        writtenByteCount += UInt64(byteCount)
        let write = Task { () -> Result<Void, ColdStoreError> in
            do throws(ColdStoreError) {
                try await threads.run { () throws(ColdStoreError) in
                    // Its whole blocks go past the page cache, the rest of the file's end does not.
                    let blocks = byteCount / FileSystem.blockByteCount * FileSystem.blockByteCount
                    var rest = buffers
                    let first = Self.taken(blocks, from: &rest)
                    if blocks > 0 { try FileSystem.write(first, at: offset, to: file, temporary) }
                    if !rest.isEmpty { try FileSystem.write(rest, at: offset + UInt64(blocks), to: file, temporary) }
                    FileSystem.beginWriting(file, at: offset, byteCount: UInt64(byteCount))
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        running.append(write)
    }

    private mutating func takePending(_ byteCount: Int) -> [ByteBuffer] {
        pendingByteCount -= byteCount
        return Self.taken(byteCount, from: &pending)
    }

    /// The first `byteCount` bytes of the buffers, which lose them.
    static func taken(_ byteCount: Int, from buffers: inout [ByteBuffer]) -> [ByteBuffer] {
        var taken: [ByteBuffer] = []
        var missing = byteCount
        var index = 0
        while missing > 0, index < buffers.count {
            let count = min(missing, buffers[index].readableBytes)
            guard let slice = buffers[index].readSlice(length: count) else { break }
            taken.append(slice)
            missing -= count
            if buffers[index].readableBytes == 0 { index += 1 }
        }
        buffers.removeFirst(index)
        return taken
    }

    private static func joined(_ buffers: [ByteBuffer]) -> ByteBuffer {
        var all = ByteBuffer()
        for buffer in buffers { all.writeImmutableBuffer(buffer) }
        return all
    }

    /// Waits until no more than that many pieces are on their way; a failure gives the file up.
    private mutating func settle(atMost count: Int) async throws(ColdStoreError) {
        while running.count > count, let oldest = running.first {
            let result = await oldest.value
            running.removeFirst()
            do throws(ColdStoreError) {
                try result.get()
            } catch {
                await abort()
                throw error
            }
        }
    }

    /// What can't be removed is left: it has a name that nobody takes for a pack.
    private static func discard(_ temporary: String) {
        try? FileSystem.remove(temporary)
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func randomName() -> String {
        String(UInt64.random(in: .min ... .max) | 1 << 63, radix: 16)
    }
}

/// Threads for calls that block: one hop an operation, however many calls it makes.
struct FileThreads: Sendable {
    private let pool: NIOThreadPool

    init(_ pool: NIOThreadPool) { self.pool = pool }

    func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(ColdStoreError) -> Value
    ) async throws(ColdStoreError) -> Value {
        let result: Result<Value, ColdStoreError>
        do {
            result = try await pool.runIfActive { Result(catching: body) }
        } catch {
            throw ColdStoreError(.unavailable, "the threads for files have been stopped")
        }
        return try result.get()
    }
}
