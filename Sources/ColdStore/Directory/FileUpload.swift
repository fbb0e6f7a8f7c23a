// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import NIOPosix

/// A file that appears whole or not at all: written under another name, synced, and only then given its own.
///
/// Nothing is written over. What a crash leaves behind is the temporary file.
public struct FileUpload: ObjectUpload {
    /// Bytes that are gathered before they go to the disk, so that a hop to a thread is worth it.
    private static let pieceByteCount = 1 << 20
    /// Bytes that are written before the disk is told to begin with them.
    private static let strideByteCount: UInt64 = 8 << 20

    private let path: String
    private let temporary: String
    private let file: FileSystem.File
    private let threads: FileThreads
    /// Folders of `path` that may have to be made, outermost first.
    private let folders: [String]
    private var pending = ByteBuffer()
    /// The piece before, on its way to the file while the next is made.
    private var running: Task<Result<Void, ColdStoreError>, Never>?
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
        pending.writeImmutableBuffer(bytes)
        if pending.readableBytes >= Self.pieceByteCount { try await flush() }
    }

    public mutating func finish() async throws(ColdStoreError) {
        guard !isOver else { throw ColdStoreError(.invalid, "\(path) is finished or given up") }
        try await flush()
        try await settle()
        isOver = true
        let (path, temporary, file, folders) = (path, temporary, file, folders)
        try await threads.run { () throws(ColdStoreError) in
            try Self.publish(file, temporary, as: path, folders: folders)
        }
    }

    public mutating func abort() async {
        guard !isOver else { return }
        isOver = true
        _ = await running?.value
        running = nil
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
    private mutating func flush() async throws(ColdStoreError) {
        try await settle()
        guard pending.readableBytes > 0 else { return }
        let (bytes, file, temporary, threads) = (pending, file, temporary, threads)
        pending = ByteBuffer()
        let end = writtenByteCount + UInt64(bytes.readableBytes)
        // From the last stride's end on.
        let begin = writtenByteCount / Self.strideByteCount * Self.strideByteCount
        let isStride = begin != end / Self.strideByteCount * Self.strideByteCount
        writtenByteCount = end
        running = Task {
            do throws(ColdStoreError) {
                try await threads.run { () throws(ColdStoreError) in
                    try FileSystem.write(bytes, to: file, temporary)
                    if isStride { FileSystem.beginWriting(file, at: begin, byteCount: end - begin) }
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
    }

    /// Waits for what is being written; a failure gives the file up.
    private mutating func settle() async throws(ColdStoreError) {
        guard let running else { return }
        let result = await running.value
        self.running = nil
        do throws(ColdStoreError) {
            try result.get()
        } catch {
            await abort()
            throw error
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
