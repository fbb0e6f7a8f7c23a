// SPDX-License-Identifier: Apache-2.0

import DICOM
import Foundation
import NIOCore

/// Real files, where there are any: in `VARVE_TEST_CORPUS`, or beside the repository in `../shared/corpus`.
enum Corpus {
    static let root: String? = {
        if let path = ProcessInfo.processInfo.environment["VARVE_TEST_CORPUS"] { return path }
        let repository = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = repository.deletingLastPathComponent().appendingPathComponent("shared/corpus").path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    static var isPresent: Bool { self.root != nil }

    /// Paths relative to the root, sorted; of each folder at most `limit`.
    static func files(limitPerFolder limit: Int = .max) -> [String] {
        guard let root, let walker = FileManager.default.enumerator(atPath: root) else { return [] }
        let all = walker.compactMap { $0 as? String }.filter { $0.hasSuffix(".dcm") }.sorted()
        var counts: [String: Int] = [:]
        return all.filter { path in
            let folder = (path as NSString).deletingLastPathComponent
            counts[folder, default: 0] += 1
            return folder == "odd" || counts[folder, default: 0] <= limit
        }
    }

    static func load(_ path: String) throws -> ByteBuffer {
        let url = URL(fileURLWithPath: (self.root ?? "") + "/" + path)
        return ByteBuffer(bytes: [UInt8](try Data(contentsOf: url)))
    }

    /// The data set of a file, without its meta information, and its syntax.
    static func dataSet(_ path: String) throws -> (bytes: ByteBuffer, syntax: TransferSyntax) {
        var file = try self.load(path)
        let header = try Part10.readHeader(file)
        file.moveReaderIndex(forwardBy: header.dataSetOffset)
        return (file, header.transferSyntax ?? .implicitVRLittleEndian)
    }

    /// Its encapsulated pixel data ends before the delimiter: no toolkit reads it whole.
    static let cut = "odd/emri_small_jpeg_2k_lossless_too_short.dcm"
}
