// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import Ingest
import NIOConcurrencyHelpers
import Testing

/// Whether a pack proves a record, as storage commitment asks it.
struct PackProofTests {
    private typealias Scene = PackLibraryTests.Scene

    /// All packs on the shelf were read whole, after they had stood.
    private static func prove(_ scene: Scene, verifiedAt: Int64? = 1, isAgain: Bool = true) {
        scene.shelf.packs.withLockedValue { packs in
            for index in packs.indices {
                packs[index].verifiedAtMilliseconds = verifiedAt
                packs[index].isVerifiedAgain = isAgain
            }
        }
    }

    @Test func `a record is proven by a pack that was read whole and gives its bytes now`() async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            Self.prove(scene)
            for number in PackLibraryTests.byteCounts.indices {
                let objection = await scene.library.objection(to: try scene.id(number))
                #expect(objection == nil)
            }
            #expect(scene.shelf.doubted.withLockedValue { $0.isEmpty })
        }
    }

    @Test(arguments: [(nil, false), (1, false)] as [(Int64?, Bool)])
    func `a pack in doubt, or that has not been read since it stood, proves nothing`(
        verifiedAt: Int64?,
        isAgain: Bool
    ) async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            Self.prove(scene, verifiedAt: verifiedAt, isAgain: isAgain)
            let objection = await scene.library.objection(to: try scene.id(0))
            #expect(objection?.contains("doubt") == true)
        }
    }

    @Test func `damage that came since is found, though the record was read before, and another pack proves it`()
        async throws
    {
        for number in PackLibraryTests.byteCounts.indices {
            try await PackLibraryTests.with { scene in
                try await scene.put(1)
                Self.prove(scene)
                let id = try scene.id(number)
                let before = await scene.library.objection(to: id)
                #expect(before == nil)
                // The library has it in memory from here on.
                _ = try await scene.read(number)
                try await scene.damage(1, number, at: PackLibraryTests.byteCounts[number] - 1)
                let objection = await scene.library.objection(to: id)
                #expect(objection?.contains("digest") == true)
                #expect(scene.shelf.doubted.withLockedValue { $0 } == [1])
                try await scene.put(2)
                Self.prove(scene)
                let other = await scene.library.objection(to: id)
                #expect(other == nil)
            }
        }
    }

    @Test func `a pack that is gone, or cut short, proves nothing, nor one that has not the record`() async throws {
        try await PackLibraryTests.with { scene in
            try await scene.put(1)
            Self.prove(scene)
            let missing = await scene.library.objection(to: try scene.id(77))
            #expect(missing?.contains("not in the pack") == true)
            let before = await scene.library.objection(to: try scene.id(2))
            #expect(before == nil)
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: scene.path(1)))
            try file.truncate(atOffset: 5000)
            try file.close()
            let short = await scene.library.objection(to: try scene.id(2))
            #expect(short != nil)
            try FileManager.default.removeItem(atPath: scene.path(1))
            let gone = await scene.library.objection(to: try scene.id(2))
            #expect(gone != nil)
            scene.shelf.packs.withLockedValue { $0 = [] }
            let none = await scene.library.objection(to: try scene.id(2))
            #expect(none == "no pack holds it")
        }
    }
}
