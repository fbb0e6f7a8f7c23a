// SPDX-License-Identifier: Apache-2.0

import ColdStore
import Foundation
import Placement
import Testing

/// Where stores are, as orders and the catalog name it.
struct ColdPlaceTests {
    @Test(arguments: [
        "file:///srv/varve/cold", "file:///srv/k%C3%A4lte%20und%25", "s3+https://s3.example.org/archive",
        "s3+http://127.0.0.1:9000/archive/packs/of/2026?region=eu&path-style=yes&storage-class=GLACIER_IR&credentials=/etc/varve/s3",
        "s3+https://s3.example.org/archive?object-lock=governance:1830", "file:///tape?offline-media=14400:7",
        "s3+https://s3.example.org/archive?storage-class=GLACIER&offline-media=60:1&restore=yes",
        "file:///what%3Foffline-media%3D1",
    ])
    func `a place is read and written as it was`(text: String) throws {
        let place = try ColdPlace(text)
        #expect(place.description == text)
        #expect(try ColdPlace(place.description) == place)
    }

    @Test func `a directory is named by its absolute path, without slashes at its end`() throws {
        #expect(try ColdPlace("file:///srv/cold//") == .directory("/srv/cold"))
        #expect(try ColdPlace("file:///srv/k%C3%a4lte") == .directory("/srv/kälte"))
        guard case .bucket(let bucket) = try ColdPlace("s3+https://h:1/abc/p/q?path-style=yes") else {
            Issue.record("it is a bucket")
            return
        }
        #expect(bucket.endpoint == "https://h:1" && bucket.name == "abc" && bucket.prefix == "p/q")
        #expect(bucket.usesPathStyle && bucket.region == nil && bucket.credentialsFile == nil)
    }

    @Test(arguments: [
        "", "/srv/cold", "file://host/srv", "file://", "file:///srv/../etc", "file:///srv/%", "file:///srv/%0",
        "file:///srv/%zz", "file:///srv/%ff", "file:///a%00b", "s3://bucket", "s3+ftp://host/bucket",
        "s3+https://host", "s3+https:///bucket", "s3+https://host/B", "s3+https://host/bucket?secret=x",
        "s3+https://host/bucket?region", "s3+https://host/bucket?region=", "s3+https://host/bucket?path-style=no",
        "s3+https://host/bucket?object-lock=governance", "s3+https://host/bucket?object-lock=legal:3",
        "s3+https://host/bucket?object-lock=compliance:0", "s3+https://host/bucket?object-lock=compliance:36501",
        "file:///tape?", "file:///tape?offline-media=", "file:///tape?offline-media=14400",
        "file:///tape?offline-media=59:7",
        "file:///tape?offline-media=14400:367", "file:///tape?offline-media=+60:7", "file:///tape?restore=yes",
        "file:///tape?offline-media=14400:7&x=y", "s3+https://host/bucket?restore=no",
        "s3+https://host/bucket?offline-media=60:0", "s3+https://host/bucket/../other", "s3+https://user@host/bucket",
    ])
    func `what names no place is refused`(text: String) {
        let error = #expect(throws: ColdStoreError.self) { try ColdPlace(text) }
        #expect(error?.code == .invalid)
    }

    @Test func `a place that is too long is refused`() {
        let longest = "file:///" + String(repeating: "a", count: ColdPlace.maximumByteCount - 8)
        #expect(throws: Never.self) { try ColdPlace(longest) }
        #expect(throws: ColdStoreError.self) { try ColdPlace(longest + "a") }
    }

    @Test(arguments: [
        ("file:///cold", "file:///cold", true), ("file:///cold", "file:///cold/other", false),
        ("file:///cold", "file:///", false), ("file:///cold", "s3+https://h/abc", false),
        ("s3+https://h/abc", "s3+https://h/abc/any/prefix?region=x&credentials=/f", true),
        ("s3+https://h/abc/p", "s3+https://h/abc/p", true), ("s3+https://h/abc/p", "s3+https://h/abc/q", false),
        ("file:///cold", "file:///cold?offline-media=60:7", true),
        ("file:///cold?offline-media=60:7", "file:///cold", true),
        ("file:///cold", "file:///cola?offline-media=60:7", false),
        ("s3+https://h/abc/p", "s3+https://h/abc", false), ("s3+https://h/abc", "s3+http://h/abc", false),
        ("s3+https://h/abc", "s3+https://h:444/abc", false), ("s3+https://h/abc", "s3+https://h/abd", false),
    ])
    func `a process uses what it was told to, and nothing else`(mine: String, other: String, may: Bool) throws {
        #expect(try ColdPlace(mine).permits(try ColdPlace(other)) == may)
    }

    @Test func `stores are opened when they may be, and are there`() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // A directory left behind in the temporary folder harms nobody.
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (mine, other) = (ClusterID(high: 1, low: 2), ClusterID(high: 3, low: 4))
        let stores = ColdStores(cluster: mine, allowed: [.directory(directory)])
        func code(_ text: String, _ stores: ColdStores) async -> ColdStoreError.Code? {
            do throws(ColdStoreError) {
                _ = try await stores.store(at: text)
                return nil
            } catch {
                return error.code
            }
        }
        let place = "\(ColdPlace.directory(directory))"
        #expect(await code("file:///etc", stores) == .denied)
        // Not made a store yet, or not mounted.
        #expect(await code(place, stores) == .unavailable)
        _ = try await DirectoryStore.create(directory, cluster: mine)
        #expect(await code(place, stores) == nil)
        let others = ColdStores(cluster: other, allowed: [.directory(directory)])
        #expect(await code(place, others) == .invalid)
        await stores.shutdown()
        #expect(await code(place, stores) == .unavailable)
    }
}
