// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Foundation
import Hummingbird
import Ingest
import Logging
import NIOCore
import NIOPosix
import Testing

/// A directory of a test's own, and threads that read and write in it.
private func withCacheDirectory(_ body: (String, NIOThreadPool) async throws -> Void) async throws {
    let directory = NSTemporaryDirectory() + "varve-metadata-\(UUID().uuidString)"
    let threads = NIOThreadPool(numberOfThreads: 1)
    threads.start()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await body(directory, threads)
    try await threads.shutdownGracefully()
}

private func cache(_ directory: String, _ threads: NIOThreadPool, byteLimit: Int = 1 << 20) -> SeriesMetadataCache {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    return SeriesMetadataCache(directory: directory, byteLimit: byteLimit, threads: threads, logger: logger)
}

/// The key of a series of one instance with this number.
private func key(_ number: Int) throws -> SeriesKey {
    SeriesKey([MemoryArchive().add(try MadeInstance.compressed(.init(name: "", instance: number)))], version: "1")
}

private func files(_ directory: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).map { "\(directory)/\($0)" }
}

@Suite("Metadata of whole series in files")
struct SeriesMetadataCacheTests {
    @Test("What is kept comes back, also after a restart; what is damaged does not")
    func keeping() async throws {
        try await withCacheDirectory { directory, threads in
            let json = ByteBuffer(string: "[{},{}]")
            let (first, second) = (try key(1), try key(2))
            let begun = cache(directory, threads)
            #expect(await begun.json(first) == nil)
            await begun.keep(json, first)
            #expect(await begun.json(first) == json)
            #expect(await begun.json(second) == nil)

            let again = cache(directory, threads)
            #expect(again.byteCount(of: first) == json.readableBytes + 12 && again.byteCount == json.readableBytes + 12)
            #expect(await again.json(first) == json)
            let path = try #require(files(directory).first)
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count - 1] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
            #expect(await again.json(first) == nil)
            #expect(files(directory).isEmpty && again.byteCount == 0)
            // Begun by a process that ended.
            try Data().write(to: URL(fileURLWithPath: path + ".1.part"))
            #expect(await cache(directory, threads).json(first) == nil)
            #expect(files(directory).isEmpty)
        }
    }

    @Test("The directory is its owner's alone")
    func permissions() async throws {
        try await withCacheDirectory { directory, threads in
            _ = cache(directory, threads)
            let attributes = try FileManager.default.attributesOfItem(atPath: directory)
            #expect((attributes[.posixPermissions] as? Int) == 0o700)
        }
    }

    @Test("When there are too many bytes, what was used longest ago goes")
    func eviction() async throws {
        try await withCacheDirectory { directory, threads in
            let kept = cache(directory, threads, byteLimit: 5000)
            let json = ByteBuffer(repeating: 0x20, count: 988)
            let keys = try (1...6).map(key)
            for key in keys.prefix(4) { await kept.keep(json, key) }
            #expect(await kept.json(keys[0]) == json)
            for key in keys.suffix(2) { await kept.keep(json, key) }
            #expect(kept.byteCount <= 5000 && files(directory).count == kept.byteCount / 1000)
            #expect(await kept.json(keys[0]) == json, "it was used")
            #expect(await kept.json(keys[1]) == nil)
            #expect(await kept.json(keys[5]) == json)
            await kept.keep(ByteBuffer(repeating: 0x20, count: 5000), try key(7))
            #expect(await kept.json(try key(7)) == nil, "it is longer than all may be")
            await cache(directory, threads, byteLimit: 0).keep(json, keys[0])
        }
    }

    @Test("Without a directory nothing is kept, and all goes on")
    func unusable() async throws {
        try await withCacheDirectory { directory, threads in
            let kept = cache(directory + "/not/there", threads)
            await kept.keep(ByteBuffer(string: "[]"), try key(1))
            #expect(await kept.json(try key(1)) == nil)
        }
    }
}

@Suite("Series that go quiet")
struct SeriesArrivalsTests {
    @Test("A series is quiet when nothing was added for a minute, and is named once")
    func quiet() {
        let arrivals = SeriesArrivals(quietAfter: .seconds(60))
        let start = ContinuousClock.now
        arrivals.stored(study: "1", series: "1.1", now: start)
        arrivals.stored(study: "1", series: "1.2", now: start + .seconds(1))
        arrivals.stored(study: "1", series: "1.1", now: start + .seconds(30))
        #expect(!arrivals.isQuiet(study: "1", series: "1.1", now: start + .seconds(61)))
        #expect(arrivals.isQuiet(study: "1", series: "1.2", now: start + .seconds(61)))
        #expect(arrivals.isQuiet(study: "2", series: "2.1", now: start))
        #expect(arrivals.takeQuiet(now: start + .seconds(60)).isEmpty)
        #expect(arrivals.takeQuiet(now: start + .seconds(61)).map(\.series) == ["1.2"])
        #expect(arrivals.takeQuiet(now: start + .seconds(90)).map(\.series) == ["1.1"])
        #expect(arrivals.takeQuiet(now: start + .seconds(900)).isEmpty)
    }
}

@Suite("Metadata of series that are kept")
struct SeriesMetadataServiceTests {
    private static let path = "studies/\(MadeInstance.study)/series/\(MadeInstance.study).1/metadata"

    private func fill(_ client: Client, _ count: Int, from first: Int = 1) throws {
        for number in first..<first + count {
            let shape = MadeInstance.Shape(name: "", instance: number)
            _ = client.archive.add(try MadeInstance.compressed(shape))
        }
    }

    @Test("The second answer is the first, byte for byte, without a read from the nodes")
    func once() async throws {
        try await withCodecs { pool in
            try await withCacheDirectory { directory, threads in
                let client = Client(pool, cache: cache(directory, threads))
                let plain = Client(pool)
                for client in [client, plain] { try fill(client, 20) }
                let wanted = try await plain.get(Self.path)
                let first = try await client.get(Self.path)
                #expect(first.status == 200 && first.body == wanted.body)
                #expect(try first.json([Any].self).count == 20)
                let before = client.archive.readByteCount
                let second = try await client.get(Self.path)
                #expect(second.body == wanted.body && second.headers[.eTag] == first.headers[.eTag])
                #expect(second.contentType == "application/dicom+json")
                #expect(client.archive.readByteCount == before)
                #expect(client.retrieve.memoryInUse == 0)
                // Another name of the service, the same file.
                let moved = try await client.get(Self.path, headers: [.init("X-Forwarded-Host")!: "pacs.example.org"])
                #expect(moved.text == wanted.text.replacingOccurrences(of: "pacs:8042", with: "pacs.example.org"))
                #expect(moved.text != wanted.text && client.archive.readByteCount == before)
            }
        }
    }

    @Test("A series that has changed is read anew; a small one always is")
    func changes() async throws {
        try await withCodecs { pool in
            try await withCacheDirectory { directory, threads in
                let client = Client(pool, cache: cache(directory, threads))
                try fill(client, 15)
                _ = try await client.get(Self.path)
                #expect(files(directory).isEmpty)
                try fill(client, 5, from: 16)
                _ = try await client.get(Self.path)
                #expect(files(directory).count == 1)
                try fill(client, 1, from: 21)
                #expect(try await client.get(Self.path).json([Any].self).count == 21)
                #expect(files(directory).count == 2)
            }
        }
    }

    @Test("It is made when a series goes quiet; one that grows is not kept")
    func quiet() async throws {
        try await withCodecs { pool in
            try await withCacheDirectory { directory, threads in
                let client = Client(pool, cache: cache(directory, threads))
                try fill(client, 20)
                let metadata = try #require(client.seriesMetadata)
                metadata.arrivals.stored(study: MadeInstance.study, series: "\(MadeInstance.study).1")
                _ = try await client.get(Self.path)
                #expect(files(directory).isEmpty)
                let series = DICOMWebItem.series(study: MadeInstance.study, series: "\(MadeInstance.study).1")
                await metadata.make(series)
                #expect(files(directory).count == 1)
                let before = client.archive.readByteCount
                #expect(try await client.get(Self.path).json([Any].self).count == 20)
                #expect(client.archive.readByteCount == before)
            }
        }
    }

    @Test("What is damaged is made again, and the client does not notice")
    func damage() async throws {
        try await withCodecs { pool in
            try await withCacheDirectory { directory, threads in
                let client = Client(pool, cache: cache(directory, threads))
                try fill(client, 20)
                let first = try await client.get(Self.path)
                let path = try #require(files(directory).first)
                try Data("[{}]".utf8).write(to: URL(fileURLWithPath: path))
                #expect(try await client.get(Self.path).body == first.body)
                let before = client.archive.readByteCount
                #expect(try await client.get(Self.path).body == first.body)
                #expect(client.archive.readByteCount == before)
            }
        }
    }

    @Test("Where nothing is kept, nothing is read for it")
    func off() async throws {
        try await withCodecs { pool in
            try await withCacheDirectory { directory, threads in
                let client = Client(pool, cache: cache(directory, threads, byteLimit: 0))
                try fill(client, 20)
                let metadata = try #require(client.seriesMetadata)
                await metadata.make(.series(study: MadeInstance.study, series: "\(MadeInstance.study).1"))
                #expect(client.archive.readByteCount == 0)
                #expect(try await client.get(Self.path).json([Any].self).count == 20)
                #expect(files(directory).isEmpty)
            }
        }
    }
}
