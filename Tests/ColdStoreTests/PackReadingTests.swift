// SPDX-License-Identifier: Apache-2.0

import ColdStore
import DICOM
import Foundation
import NIOCore
import PackFormat
import Testing

@Suite struct PackReadingTests {
    private static func write(_ instances: Int, to path: String) async throws -> PackWriter.Summary {
        var writer = try PackWriter(
            PackDescription(
                id: PackID(high: 1, low: 2),
                cluster: nil,
                studyInstanceUID: try UID(lenient: "1.2"),
                createdAtMilliseconds: 0
            )
        )
        var upload = try await FileUpload.begin(at: path)
        let content = ByteBuffer(repeating: 3, count: 5000)
        for number in 1...instances {
            let instance = PackInstance(
                seriesInstanceUID: try UID(lenient: "1.3"),
                sopInstanceUID: try UID(lenient: "1.4.\(number)"),
                byteCount: 5000,
                digest: nil
            )
            try await upload.write(try writer.begin(instance))
            try await upload.write(try writer.append(content))
            try await upload.write(try writer.end())
        }
        let end = try writer.finish()
        try await upload.write(end.bytes)
        try await upload.finish()
        return end.summary
    }

    @Test func `a pack is read and proven from where it lies, and damage is named`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("varve-pack-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("study.zip").path
        let summary = try await Self.write(2000, to: path)
        var reader = try await ObjectReader(path: path)
        var manifest = try await reader.packManifest()
        #expect(manifest.entries.count == 2000)
        var total: UInt64 = 0
        var result = try await reader.verifyPack(manifest) { total += $0 }
        #expect(result.findings.isEmpty)
        #expect(result.digest == summary.digest)
        #expect(total == summary.byteCount)
        let entry = manifest.entries[1234]
        #expect(try await reader.read(entry.range) == ByteBuffer(repeating: 3, count: 5000))

        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[Int(entry.offset) + 17] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        reader = try await ObjectReader(path: path)
        manifest = try await reader.packManifest()
        result = try await reader.verifyPack(manifest)
        #expect(result.findings.map(\.path) == [entry.path])
        try bytes.dropLast().write(to: URL(fileURLWithPath: path))
        let shorter = try await ObjectReader(path: path)
        let error = await #expect(throws: ColdStoreError.self) { try await shorter.packManifest() }
        #expect(error?.code == .damaged)
    }
}
