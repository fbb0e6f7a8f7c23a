// SPDX-License-Identifier: Apache-2.0

import ColdStore
import Foundation
import NIOCore
import PackFormat
import Placement
import Testing

@Suite struct DirectoryStoreTests {
    /// A folder that is gone when the test is.
    private final class Folder {
        let path: String

        init() throws {
            let url = FileManager.default.temporaryDirectory.appendingPathComponent("varve-cold-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            self.path = url.path
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        /// Every file below, hidden ones included.
        var files: [String] {
            (FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []).filter { name in
                var isDirectory: ObjCBool = false
                return FileManager.default.fileExists(atPath: "\(path)/\(name)", isDirectory: &isDirectory)
                    && !isDirectory.boolValue
            }.sorted()
        }
    }

    private static let cluster = ClusterID(high: 1, low: 2)

    private static func key(_ text: String) throws -> ObjectKey { try #require(ObjectKey(text)) }

    private static func put(_ text: String, _ bytes: ByteBuffer, in store: DirectoryStore) async throws {
        var upload = try await store.begin(try key(text), maximumByteCount: 1 << 30)
        try await upload.write(bytes)
        try await upload.finish()
    }

    @Test func `what was put is found, read by ranges, listed and removed`() async throws {
        let folder = try Folder()
        let store = try await DirectoryStore.create(folder.path + "/", cluster: Self.cluster)
        let key = try Self.key("abc/1.2.3/p.zip")
        #expect(try await store.status(of: key) == nil)
        let bytes = ByteBuffer(bytes: (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
        var upload = try await store.begin(key, maximumByteCount: 5_000_000)
        var rest = bytes
        while let piece = rest.readSlice(length: min(rest.readableBytes, 700_001)), piece.readableBytes > 0 {
            try await upload.write(piece)
        }
        // Nobody sees it before it is whole.
        #expect(try await store.status(of: key) == nil)
        #expect(try await store.list(after: nil, limit: 10) == [])
        try await upload.finish()
        #expect(folder.files == ["abc/1.2.3/p.zip", "varve-cold-store.json"])
        #expect(try await store.status(of: key) == ObjectStatus(key: key, byteCount: 5_000_000))
        #expect(try await store.read(key, 0..<5_000_000) == bytes)
        let part = try await store.read(key, 4_999_990..<5_000_000)
        #expect(part == bytes.getSlice(at: 4_999_990, length: 10))
        #expect(try await store.read(key, 7..<7).readableBytes == 0)
        try await store.remove(key)
        try await store.remove(key)
        #expect(try await store.status(of: key) == nil)
        await #expect(throws: ColdStoreError.self) { try await upload.write(bytes) }
    }

    private static func expect(
        _ code: ColdStoreError.Code,
        _ body: () async throws(ColdStoreError) -> Void
    ) async {
        do throws(ColdStoreError) {
            try await body()
            Issue.record("nothing was thrown")
        } catch {
            #expect(error.code == code)
        }
    }

    @Test func `what is not there of media that are taken out is offline, and back when they are`() async throws {
        let folder = try Folder()
        _ = try await DirectoryStore.create(folder.path, cluster: Self.cluster)
        let media = OfflineMedia.usual
        let store = try await DirectoryStore.open(folder.path, cluster: Self.cluster, media: media)
        let (key, other) = (try Self.key("a/b.zip"), try Self.key("a/c.zip"))
        try await Self.put("a/b.zip", ByteBuffer(string: "bytes"), in: store)
        // Another medium is in.
        await Self.expect(.offline) { () async throws(ColdStoreError) in _ = try await store.read(other, 0..<1) }
        await Self.expect(.offline) { () async throws(ColdStoreError) in _ = try await ObjectReader(other, in: store) }
        await Self.expect(.offline) { () async throws(ColdStoreError) in
            _ = try await ObjectReader(fromDisk: other, in: store)
        }
        await Self.expect(.offline) { () async throws(ColdStoreError) in try await store.remove(other) }
        #expect(try await store.status(of: other) == nil)
        // None is.
        let (path, away) = (folder.path, folder.path + "-away")
        try FileManager.default.moveItem(atPath: path, toPath: away)
        await Self.expect(.offline) { () async throws(ColdStoreError) in _ = try await store.read(key, 0..<5) }
        await Self.expect(.offline) { () async throws(ColdStoreError) in _ = try await store.status(of: key) }
        await Self.expect(.offline) { () async throws(ColdStoreError) in
            _ = try await store.list(after: nil, limit: 1)
        }
        await Self.expect(.offline) { () async throws(ColdStoreError) in
            _ = try await store.begin(other, maximumByteCount: 1)
        }
        await Self.expect(.offline) { () async throws(ColdStoreError) in
            _ = try await DirectoryStore.open(path, media: media)
        }
        await Self.expect(.unavailable) { () async throws(ColdStoreError) in
            _ = try await DirectoryStore.open(path)
        }
        try FileManager.default.moveItem(atPath: away, toPath: folder.path)
        #expect(try await store.read(key, 0..<5) == ByteBuffer(string: "bytes"))
    }

    @Test func `objects are not written over, not even by two at once`() async throws {
        let folder = try Folder()
        let store = try await DirectoryStore.create(folder.path, cluster: nil)
        let key = try Self.key("a/b.zip")
        var first = try await store.begin(key, maximumByteCount: 10)
        var second = try await store.begin(key, maximumByteCount: 10)
        try await first.write(ByteBuffer(string: "first"))
        try await second.write(ByteBuffer(string: "second"))
        try await second.finish()
        var error = await #expect(throws: ColdStoreError.self) { try await first.finish() }
        #expect(error?.code == .exists)
        error = await #expect(throws: ColdStoreError.self) { _ = try await store.begin(key, maximumByteCount: 10) }
        #expect(error?.code == .exists)
        #expect(try await String(buffer: store.read(key, 0..<6)) == "second")
        #expect(folder.files == ["a/b.zip", "varve-cold-store.json"])
    }

    @Test func `what nobody has written to for two days is removed with an object, what is written is not`()
        async throws
    {
        let folder = try Folder()
        let store = try await DirectoryStore.create(folder.path, cluster: nil)
        let key = try Self.key("a/b.zip")
        var dead = try await store.begin(key, maximumByteCount: 10)
        // So little that nothing of it is on its way to the file.
        try await dead.write(ByteBuffer(string: "dead"))
        let left = try #require(folder.files.first { $0 != "varve-cold-store.json" })
        let longAgo = Date(timeIntervalSinceNow: -3 * 86_400)
        try FileManager.default.setAttributes([.modificationDate: longAgo], ofItemAtPath: "\(folder.path)/\(left)")
        var alive = try await store.begin(key, maximumByteCount: 10)
        try await alive.write(ByteBuffer(string: "alive"))
        try await store.removeUnfinished(key)
        #expect(folder.files.count == 2)
        try await alive.finish()
        #expect(folder.files == ["a/b.zip", "varve-cold-store.json"])
        try await store.removeUnfinished(key)
        #expect(folder.files == ["a/b.zip", "varve-cold-store.json"])
    }

    @Test func `what is given up leaves nothing`() async throws {
        let folder = try Folder()
        let store = try await DirectoryStore.create(folder.path, cluster: nil)
        var upload = try await store.begin(try Self.key("a/b.zip"), maximumByteCount: 10)
        try await upload.write(ByteBuffer(repeating: 1, count: 3 << 20))
        #expect(folder.files.count == 2)
        await upload.abort()
        await upload.abort()
        #expect(folder.files == ["varve-cold-store.json"])
        await #expect(throws: ColdStoreError.self) { try await upload.finish() }
    }

    @Test func `an empty directory is no store, and a store that is unmounted is not empty`() async throws {
        let folder = try Folder()
        var error = await #expect(throws: ColdStoreError.self) { try await DirectoryStore.open(folder.path) }
        #expect(error?.code == .unavailable)
        error = await #expect(throws: ColdStoreError.self) { try await DirectoryStore.open(folder.path + "/nothing") }
        #expect(error?.code == .unavailable)
        let store = try await DirectoryStore.create(folder.path, cluster: nil)
        try await Self.put("a/b.zip", ByteBuffer(string: "x"), in: store)
        let (here, away) = (try Self.key("a/b.zip"), try Self.key("a/c.zip"))
        var running = try await store.begin(away, maximumByteCount: 10)
        // As it looks where nothing is mounted.
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            try FileManager.default.removeItem(atPath: "\(folder.path)/\(name)")
        }
        for key in [here, away] {
            error = await #expect(throws: ColdStoreError.self) { try await store.status(of: key) }
            #expect(error?.code == .unavailable)
            error = await #expect(throws: ColdStoreError.self) { try await store.read(key, 0..<1) }
            #expect(error?.code == .unavailable)
            error = await #expect(throws: ColdStoreError.self) { try await store.remove(key) }
            #expect(error?.code == .unavailable)
            error = await #expect(throws: ColdStoreError.self) { _ = try await store.begin(key, maximumByteCount: 1) }
            #expect(error?.code == .unavailable)
        }
        error = await #expect(throws: ColdStoreError.self) { try await store.list(after: nil, limit: 10) }
        #expect(error?.code == .unavailable)
        try await running.write(ByteBuffer(string: "x"))
        await #expect(throws: ColdStoreError.self) { try await running.finish() }
    }

    @Test func `a store has its cluster, and is made in an empty directory only`() async throws {
        let folder = try Folder()
        _ = try await DirectoryStore.create(folder.path, cluster: Self.cluster)
        #expect(try await DirectoryStore.open(folder.path).marker.cluster == Self.cluster)
        _ = try await DirectoryStore.open(folder.path, cluster: Self.cluster)
        let other = ClusterID(high: 1, low: 3)
        var error = await #expect(throws: ColdStoreError.self) {
            try await DirectoryStore.open(folder.path, cluster: other)
        }
        #expect(error?.code == .invalid)
        error = await #expect(throws: ColdStoreError.self) {
            try await DirectoryStore.create(folder.path, cluster: nil)
        }
        #expect(error?.code == .invalid)
        try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/varve-cold-store.json"))
        error = await #expect(throws: ColdStoreError.self) { try await DirectoryStore.open(folder.path) }
        #expect(error?.code == .unavailable)
    }

    @Test func `lists are in the order of keys, from any key on`() async throws {
        let folder = try Folder()
        let store = try await DirectoryStore.create(folder.path, cluster: nil)
        // A hyphen and a dot come before a slash, letters behind it.
        let names = ["a-b/c", "a.b/c", "a/b", "a/c/d", "a/cc", "a0", "b/a", "b/b/b", "c"]
        for name in names.reversed() { try await Self.put(name, ByteBuffer(string: name), in: store) }
        for other in [".hidden", "ä", "a/.x", "a b"] {
            try Data().write(to: URL(fileURLWithPath: "\(folder.path)/\(other)"))
        }
        #expect(try await store.list(after: nil, limit: 100).map(\.key.string) == names)
        for limit in 1...4 {
            var found: [String] = []
            var last: ObjectKey?
            while true {
                let page = try await store.list(after: last, limit: limit)
                #expect(page.count <= limit)
                guard let end = page.last else { break }
                found += page.map(\.key.string)
                last = end.key
            }
            #expect(found == names, "pages of \(limit)")
        }
        #expect(try await store.list(after: try Self.key("a/bb"), limit: 2).map(\.key.string) == ["a/c/d", "a/cc"])
        #expect(try await store.list(after: try Self.key("zz"), limit: 2) == [])
    }

    @Test func `a range beyond the end is an error, and so is an object that is not there`() async throws {
        let folder = try Folder()
        let store = try await DirectoryStore.create(folder.path, cluster: nil)
        try await Self.put("a", ByteBuffer(string: "12345"), in: store)
        let key = try Self.key("a")
        var error = await #expect(throws: ColdStoreError.self) { try await store.read(key, 3..<6) }
        #expect(error?.code == .failed)
        error = await #expect(throws: ColdStoreError.self) { try await store.read(key, 0..<UInt64.max) }
        #expect(error?.code == .invalid)
        let other = try Self.key("b")
        error = await #expect(throws: ColdStoreError.self) { try await store.read(other, 0..<1) }
        #expect(error?.code == .notFound)
        error = await #expect(throws: ColdStoreError.self) { _ = try await ObjectReader(other, in: store) }
        #expect(error?.code == .notFound)
    }

    @Test func `a file that is no store's appears whole or not at all`() async throws {
        let folder = try Folder()
        let path = "\(folder.path)/study.zip"
        var upload = try await FileUpload.begin(at: path)
        try await upload.write(ByteBuffer(repeating: 7, count: 3 << 20))
        #expect(!FileManager.default.fileExists(atPath: path))
        try await upload.finish()
        #expect(folder.files == ["study.zip"])
        let reader = try await ObjectReader(path: path)
        #expect(reader.byteCount == 3 << 20)
        #expect(try await reader.read(0..<4) == ByteBuffer(repeating: 7, count: 4))
        let error = await #expect(throws: ColdStoreError.self) { _ = try await FileUpload.begin(at: path) }
        #expect(error?.code == .exists)
        await #expect(throws: ColdStoreError.self) { _ = try await FileUpload.begin(at: "\(folder.path)/no/study.zip") }
        await #expect(throws: ColdStoreError.self) { _ = try await ObjectReader(path: "\(folder.path)/none") }
        await #expect(throws: ColdStoreError.self) { _ = try await ObjectReader(path: folder.path) }
    }
}
