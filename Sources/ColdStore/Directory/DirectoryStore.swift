// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import NIOPosix
public import PackFormat
public import Placement

/// Objects as files in a directory: a large disk, a NAS, the front of a tape library.
///
/// The directory must hold `varve-cold-store.json`. It is looked for when the store is opened, when an object is begun, and
/// whenever something is not there: a NAS that is not mounted is never taken for an empty one. Calls block on threads of
/// the pool, one hop an operation. Several processes may use the same directory.
public struct DirectoryStore: ObjectStore {
    /// Of the directory, without a slash at its end.
    public let path: String
    public let marker: StoreMarker
    /// With it, what is not there may be on a medium that was taken out.
    let media: OfflineMedia?
    private let threads: FileThreads

    /// Where objects are written before they have their names; no key begins with a dot.
    static let uploads = ".varve-uploads"

    private init(path: String, marker: StoreMarker, media: OfflineMedia? = nil, threads: FileThreads) {
        self.path = path
        self.marker = marker
        self.media = media
        self.threads = threads
    }

    /// Opens a store that is there; with `cluster` one of that cluster, or of any.
    ///
    /// With `media` what is not there is `.offline`, the store itself as well.
    public static func open(
        _ path: String,
        cluster: ClusterID? = nil,
        media: OfflineMedia? = nil,
        pool: NIOThreadPool = .singleton
    ) async throws(ColdStoreError) -> DirectoryStore {
        let path = trimmed(path)
        let threads = FileThreads(pool)
        let marker = try await judged(media) { () async throws(ColdStoreError) in
            try await threads.run { () throws(ColdStoreError) in try readMarker(in: path) }
        }
        if let cluster, let owner = marker.cluster, owner != cluster {
            throw ColdStoreError(.invalid, "\(path) is the store of the cluster \(owner), not of \(cluster)")
        }
        return DirectoryStore(path: path, marker: marker, media: media, threads: threads)
    }

    /// Makes an empty directory, which must be there, a store.
    public static func create(
        _ path: String,
        cluster: ClusterID?,
        pool: NIOThreadPool = .singleton
    ) async throws(ColdStoreError) -> DirectoryStore {
        let path = trimmed(path)
        let threads = FileThreads(pool)
        let marker = StoreMarker(cluster: cluster)
        try await threads.run { () throws(ColdStoreError) in
            let names = try FileSystem.names(in: path)
            // What a new file system has.
            guard names.allSatisfy({ $0 == "lost+found" }) else {
                throw ColdStoreError(.invalid, "\(path) is not empty: a store is made in an empty directory")
            }
            try FileSystem.makeDirectory("\(path)/\(uploads)", in: path)
            let temporary = "\(path)/\(uploads)/\(FileUpload.randomName())"
            let file = try FileSystem.create(temporary)
            try FileSystem.write([marker.encoded()], at: 0, to: file, temporary)
            try FileSystem.sync(file, temporary)
            try FileSystem.publish(temporary, as: "\(path)/\(StoreMarker.name)")
            try FileSystem.syncDirectory(path)
        }
        return DirectoryStore(path: path, marker: marker, threads: threads)
    }

    public func begin(_ key: ObjectKey, maximumByteCount: UInt64) async throws(ColdStoreError) -> FileUpload {
        let path = path
        try await run { () throws(ColdStoreError) in
            _ = try Self.readMarker(in: path)
            // What is in it is gone with it.
            try FileSystem.makeDirectory("\(path)/\(Self.uploads)")
        }
        return try await FileUpload.begin(
            at: file(of: key),
            temporary: "\(path)/\(Self.uploads)/\(FileUpload.randomName())",
            folders: folders(of: key),
            threads
        )
    }

    public func status(of key: ObjectKey) async throws(ColdStoreError) -> ObjectStatus? {
        let (file, path) = (file(of: key), path)
        return try await run { () throws(ColdStoreError) -> ObjectStatus? in
            switch try FileSystem.kind(of: file) {
            case .file(let byteCount): return ObjectStatus(key: key, byteCount: byteCount)
            case .directory, .other: return nil
            case nil:
                _ = try Self.readMarker(in: path)
                return nil
            }
        }
    }

    public func read(_ key: ObjectKey, _ range: Range<UInt64>) async throws(ColdStoreError) -> ByteBuffer {
        let (file, path, absence) = (file(of: key), path, absence)
        return try await run { () throws(ColdStoreError) -> ByteBuffer in
            guard let open = try FileSystem.openFile(file) else {
                _ = try Self.readMarker(in: path)
                throw ColdStoreError(absence, "there is no \(key) in \(path)")
            }
            return try FileRange.read(open, range, file)
        }
    }

    public var absence: ColdStoreError.Code { media == nil ? .notFound : .offline }

    public func list(after key: ObjectKey?, limit: Int) async throws(ColdStoreError) -> [ObjectStatus] {
        let path = path
        return try await run { () throws(ColdStoreError) -> [ObjectStatus] in
            _ = try Self.readMarker(in: path)
            var walk = DirectoryWalk(root: path, after: key?.string ?? "", limit: limit)
            try walk.run()
            return walk.found
        }
    }

    /// Runs a call on a thread made for it.
    private func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(ColdStoreError) -> Value
    ) async throws(ColdStoreError) -> Value {
        let threads = threads
        return try await Self.judged(media) { () async throws(ColdStoreError) in try await threads.run(body) }
    }

    /// A store that is not there has its media taken out, where that was said to happen.
    private static func judged<Value: Sendable>(
        _ media: OfflineMedia?,
        _ body: () async throws(ColdStoreError) -> Value
    ) async throws(ColdStoreError) -> Value {
        do throws(ColdStoreError) {
            return try await body()
        } catch {
            guard media != nil, error.code == .unavailable else { throw error }
            throw ColdStoreError(.offline, error.message)
        }
    }

    private func file(of key: ObjectKey) -> String { "\(path)/\(key)" }

    /// The folders above an object, outermost first.
    private func folders(of key: ObjectKey) -> [String] {
        var folder = path
        return key.string.split(separator: "/").dropLast().map { component in
            folder += "/\(component)"
            return folder
        }
    }

    private static func trimmed(_ path: String) -> String {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    private static func readMarker(in path: String) throws(ColdStoreError) -> StoreMarker {
        let name = "\(path)/\(StoreMarker.name)"
        guard let file = try FileSystem.openFile(name) else {
            throw ColdStoreError(
                .unavailable,
                "\(path) is no store of packs, for \(StoreMarker.name) is not in it: is it mounted?"
                    + " 'varve pack init' makes an empty directory a store"
            )
        }
        let bytes = try FileSystem.read(file, at: 0, byteCount: StoreMarker.maximumByteCount, name)
        do throws(PackError) {
            return try StoreMarker(decoding: bytes)
        } catch {
            throw ColdStoreError(.unavailable, "\(name): \(error.message)")
        }
    }
}

extension DirectoryStore: ObjectRemoval {
    /// So long nobody writes nothing to an upload that goes on, in seconds.
    private static let unfinishedAge: Int64 = 2 * 86_400

    /// Removes what was begun by anybody and not written to for two days: its name does not say what it was to be.
    public func removeUnfinished(_ key: ObjectKey) async throws(ColdStoreError) {
        let uploads = "\(path)/\(Self.uploads)"
        try await run { () throws(ColdStoreError) in
            guard try FileSystem.kind(of: uploads) == .directory else { return }
            for name in try FileSystem.names(in: uploads) {
                let file = "\(uploads)/\(name)"
                guard let age = try FileSystem.secondsSinceWritten(file), age > Self.unfinishedAge else { continue }
                try FileSystem.remove(file)
            }
        }
    }

    public func remove(_ key: ObjectKey) async throws(ColdStoreError) {
        let (file, path, absence) = (file(of: key), path, absence)
        try await run { () throws(ColdStoreError) in
            guard try FileSystem.kind(of: file) != nil else {
                _ = try Self.readMarker(in: path)
                // On a medium that was taken out it would stay.
                guard absence == .notFound else { throw ColdStoreError(absence, "there is no \(key) in \(path)") }
                return
            }
            try FileSystem.remove(file)
            try FileSystem.syncDirectory(FileUpload.parent(of: file))
        }
    }
}
