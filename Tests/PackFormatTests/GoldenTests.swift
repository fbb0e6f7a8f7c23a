// SPDX-License-Identifier: Apache-2.0

import Checksums
import Foundation
import NIOCore
import PackFormat
import Testing

/// The bytes of a pack are pinned: `VARVE_WRITE_GOLDEN=1` in the environment writes the file anew.
@Suite struct GoldenTests {
    private static let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Golden/study.zip")

    @Test func `a pack is written as ever`() throws {
        let pack = try PackFixture.pack(3, textByteCount: 64)
        let bytes = Data(pack.bytes.readableBytesView)
        if ProcessInfo.processInfo.environment["VARVE_WRITE_GOLDEN"] == "1" {
            try bytes.write(to: Self.path)
        }
        #expect(try Data(contentsOf: Self.path) == bytes)
    }

    @Test func `a pack of version 1 is read`() throws {
        let bytes = ByteBuffer(bytes: try Data(contentsOf: Self.path))
        let manifest = try PackFixture.read(bytes).manifest
        #expect(try manifest.description == PackFixture.description())
        #expect(manifest.entries.count == 3)
        for (index, entry) in manifest.entries.enumerated() {
            let file = try PackFixture.file(index + 1, textByteCount: 64)
            #expect(try entry.instance == PackFixture.instance(index + 1, file, rich: true))
        }
        #expect(PackFixture.verify(bytes, manifest).findings.isEmpty)
    }
}
