// SPDX-License-Identifier: Apache-2.0

import Ingest
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// The first record that is read of a pack is found without the pack's manifest.
struct PackPlaceTests {
    @Test func `the first record is read by its place, without the manifest`() async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            try await scene.notePlaces(of: 0)
            try await scene.damageManifest(1)
            let first = try await scene.read(0, 10..<500)
            #expect(first == scene.payloads[0].getSlice(at: 10, length: 490))
            #expect(scene.library.readCount == 1)
            let failure = await PackLibraryTests.failure { _ = try await scene.read(1) }
            #expect(failure?.reason.contains("SHA-256") ?? false, "of others the manifest is read, which is damaged")
            #expect(scene.shelf.doubted.withLockedValue { $0.contains(1) })
        }
    }

    @Test func `all who ask for the first record at once get it by its place`() async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            try await scene.notePlaces(of: 1)
            try await scene.damageManifest(1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let whole = try await scene.read(1)
                        #expect(whole == scene.payloads[1])
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    /// As whoever retrieves an image does: what is known of it, and its bytes, one a moment after the other.
    @Test func `who asks for the first record while its manifest is being read gets it by its place`() async throws {
        for round in stride(from: 0, to: 40, by: 4) {
            try await PackLibraryTests.with { scene in
                try await scene.put(1)
                try await scene.notePlaces(of: 1)
                try await scene.damageManifest(1)
                async let whole = scene.read(1)
                for _ in 0..<round { await Task.yield() }
                try await PackLibraryTests.checkHead(1, of: scene)
                let read = try await whole
                #expect(read == scene.payloads[1])
            }
        }
    }

    @Test func `what is known of a record is read by its place, too`() async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            try await scene.notePlaces(of: 1)
            try await scene.damageManifest(1)
            try await PackLibraryTests.checkHead(1, of: scene)
        }
    }

    @Test(arguments: [0, 8, 16, 24, 28])
    func `a place that is wrong is no harm`(byte: Int) async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            try await scene.notePlaces(of: 1) { $0[byte + 3] ^= 1 }
            for number in scene.payloads.indices { try await PackLibraryTests.check(number, of: scene) }
            #expect(scene.shelf.doubted.withLockedValue { $0.isEmpty })
        }
    }

    @Test func `damage where a place says is found, and reported`() async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            try await scene.notePlaces(of: 0)
            try await scene.damage(1, 0, at: 999)
            let failure = await PackLibraryTests.failure { _ = try await scene.read(0) }
            #expect(failure?.reason.contains("digest") ?? false)
            #expect(scene.shelf.doubted.withLockedValue { $0 } == [1])
        }
    }
}
