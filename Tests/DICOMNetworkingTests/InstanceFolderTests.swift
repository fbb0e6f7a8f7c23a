// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import DIMSE
import Foundation
import NIOCore
import NIOPosix
import Testing

/// Instances of a peer as files: what they are called, and what becomes of those that cannot be written.
@Suite struct InstanceFolderTests {
    private static let explicit = UIDText.explicitVRLittleEndian

    /// A data set that ends in pixel data.
    private static func dataSet(
        study: String = "1.2",
        series: String = "1.3",
        pixelByteCount: Int = 10
    ) throws -> ByteBuffer {
        var dataSet = DataSet()
        dataSet.set(.sopClassUID, .ui, ctStorage)
        dataSet.set(.studyInstanceUID, .ui, study)
        dataSet.set(.seriesInstanceUID, .ui, series)
        dataSet.set(DataElement(tag: .pixelData, vr: .ow, value: .bytes(pattern(pixelByteCount))))
        return try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian)
    }

    private static func inFolder(_ body: (URL, InstanceFolder) async throws -> Void) async throws {
        // A directory around it, in which nothing else may appear.
        let around = FileManager.default.temporaryDirectory.appendingPathComponent("varve-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: around, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: around) }
        let inside = around.appendingPathComponent("inside")
        let folder = try InstanceFolder(inside.path, sourceAETitle: AETitle("PEER"), pool: .singleton)
        try await body(inside, folder)
        #expect(try FileManager.default.contentsOfDirectory(atPath: around.path) == ["inside"])
    }

    private static func files(_ url: URL) -> [String] {
        let names = FileManager.default.enumerator(atPath: url.path)?.compactMap { $0 as? String } ?? []
        return names.filter { name in
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: url.appendingPathComponent(name).path, isDirectory: &isDirectory)
            return !isDirectory.boolValue
        }.sorted()
    }

    private static func write(
        _ dataSet: ByteBuffer,
        to folder: InstanceFolder,
        instance: String = "1.4",
        sopClass: String = ctStorage,
        pieceByteCount: Int = 1 << 20
    ) async -> StoreResponse {
        var rest = dataSet
        return await folder.write(sopClassUID: sopClass, sopInstanceUID: instance, transferSyntax: explicit) {
            rest.readableBytes == 0 ? nil : rest.readSlice(length: min(rest.readableBytes, pieceByteCount))
        }
    }

    @Test(arguments: [1, 7, 1_000, 1 << 20])
    func writesAPart10FileWhateverThePieces(pieceByteCount: Int) async throws {
        try await Self.inFolder { url, folder in
            let dataSet = try Self.dataSet(pixelByteCount: pieceByteCount < 10 ? 100 : 3_000_000)
            #expect(await Self.write(dataSet, to: folder, pieceByteCount: pieceByteCount) == .success)
            #expect(Self.files(url) == ["1.2/1.3/1.4.dcm"])
            let file = ByteBuffer(bytes: try Data(contentsOf: url.appendingPathComponent("1.2/1.3/1.4.dcm")))
            let header = try Part10.readHeader(file)
            #expect(header.meta.mediaStorageSOPClassUID?.string == ctStorage)
            #expect(header.meta.mediaStorageSOPInstanceUID?.string == "1.4")
            #expect(header.meta.sourceAETitle == "PEER")
            #expect(header.transferSyntax == .explicitVRLittleEndian)
            #expect(file.getSlice(at: header.dataSetOffset, length: dataSet.readableBytes) == dataSet)
            #expect(file.readableBytes == header.dataSetOffset + dataSet.readableBytes)
        }
    }

    static let hostile = [
        "", "..", ".", "/", "../../1.2", "/etc/1", "1.2/3", "1/../../..", "1.2\0/x", "\u{2E}\u{2E}", "1.2\\..\\3",
        String(repeating: "1", count: 65), "1.2\n", "…", "1 2", "~",
    ]

    @Test(arguments: hostile)
    func aUIDThatIsNoneNamesNoFile(uid: String) async throws {
        try await Self.inFolder { url, folder in
            let good = try Self.dataSet()
            #expect(await Self.write(good, to: folder, instance: uid).status == .cannotUnderstand)
            for dataSet in [try Self.dataSet(study: uid), try Self.dataSet(series: uid)] {
                let response = await Self.write(dataSet, to: folder)
                // Padding and the separator of values are taken off before: what is left of these names a file inside.
                if response.status.isSuccess {
                    #expect(uid.contains("\\") || uid.contains("\0"))
                } else {
                    #expect(response.status == .cannotUnderstand)
                }
            }
            for file in Self.files(url) {
                #expect(file.split(separator: "/").count == 3 && !file.contains(".."), "\(file)")
            }
        }
    }

    @Test func aLinkToElsewhereIsNotFollowed() async throws {
        try await Self.inFolder { url, folder in
            let elsewhere = url.appendingPathComponent("elsewhere")
            try FileManager.default.createDirectory(at: elsewhere, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                at: url.appendingPathComponent("1.2"),
                withDestinationURL: elsewhere
            )
            #expect(await Self.write(try Self.dataSet(), to: folder).status == .outOfResources)
            #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere.path).isEmpty)
            #expect(!Self.files(url).contains { $0.hasSuffix(".part") })
        }
    }

    @Test func aDiskThatCannotBeWrittenToIsA700() async throws {
        try await Self.inFolder { url, folder in
            // A file where the study's directory would be.
            try Data().write(to: url.appendingPathComponent("1.2"))
            let response = await Self.write(try Self.dataSet(pixelByteCount: 3_000_000), to: folder)
            #expect(response.status == .outOfResources)
            #expect(Self.files(url) == ["1.2"])
        }
    }

    @Test func whatBreaksOffLeavesNothing() async throws {
        try await Self.inFolder { url, folder in
            var count = 0
            let whole = try Self.dataSet(pixelByteCount: 3_000_000)
            let response = await folder.write(
                sopClassUID: ctStorage,
                sopInstanceUID: "1.4",
                transferSyntax: Self.explicit
            ) { () async throws(DICOMNetworkError) in
                count += 1
                if count == 3 { throw DICOMNetworkError(.closed, "gone") }
                return whole.getSlice(at: (count - 1) << 20, length: 1 << 20)
            }
            #expect(response.status != .success)
            #expect(Self.files(url).isEmpty)
        }
    }

    @Test func dataSetsWithoutTheirUIDsAreRefused() async throws {
        try await Self.inFolder { url, folder in
            let noise = pattern(40 << 20)
            #expect(await Self.write(noise, to: folder).status == .cannotUnderstand)
            #expect(await Self.write(ByteBuffer(), to: folder).status == .cannotUnderstand)
            #expect(Self.files(url).isEmpty)
        }
    }
}
