// SPDX-License-Identifier: Apache-2.0

import DICOM
import Foundation
import NIOCore

/// A DICOM file that goes into a pack, as it is.
struct PackSource {
    let path: String
    let byteCount: UInt64
    let study: UID
    let series: UID
    let sopInstance: UID

    /// How much of a file is read to find its UIDs.
    private static let headByteCount = 1 << 20
    /// Media Storage Directory: a DICOMDIR, which is no instance.
    private static let directoryClass = "1.2.840.10008.1.3.10"

    /// All DICOM files among `paths`, folders searched, by series and path; `skipped` counts other files in folders.
    ///
    /// A file that was named and is not DICOM is an error, and so is one that begins like DICOM and can't be read: nothing
    /// of a study is left out in silence.
    static func find(_ paths: [String]) throws -> (sources: [PackSource], skipped: Int) {
        var sources: [PackSource] = []
        var skipped = 0
        for path in paths {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
                throw CommandError("there is no file or folder \(TerminalText.escaped(path))")
            }
            guard isDirectory.boolValue else {
                guard let source = try PackSource(path: path) else {
                    throw CommandError("\(TerminalText.escaped(path)) is not a DICOM file")
                }
                sources.append(source)
                continue
            }
            let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
            for name in names.sorted() {
                let path = "\(path)/\(name)"
                guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue
                else { continue }
                if let source = try PackSource(path: path) { sources.append(source) } else { skipped += 1 }
            }
        }
        // A stable order: series after series, and in each as the files are named.
        sources.sort { ($0.series, $0.path) < ($1.series, $1.path) }
        return (sources, skipped)
    }

    /// `nil` when it is not a DICOM file with an instance.
    private init?(path: String) throws {
        let shown = TerminalText.escaped(path)
        guard let handle = FileHandle(forReadingAtPath: path) else { throw CommandError("cannot read \(shown)") }
        defer { try? handle.close() }  // Nothing was written.
        let head = ByteBuffer(bytes: try handle.read(upToCount: Self.headByteCount) ?? Data())
        guard head.getString(at: Part10.preambleByteCount, length: 4) == "DICM" else { return nil }
        do throws(DICOMError) {
            let header = try Part10.readHeader(head)
            if header.meta.mediaStorageSOPClassUID?.string == Self.directoryClass { return nil }
            guard let syntax = header.transferSyntax else {
                throw DICOMError(.unsupportedTransferSyntax, "its transfer syntax is not one of the standard")
            }
            let start = head.getSlice(at: header.dataSetOffset, length: head.readableBytes - header.dataSetOffset)
            let dataSet = try DataSetReader.readHeader(start ?? ByteBuffer(), transferSyntax: syntax).dataSet
            self.study = try UID(lenient: dataSet.string(.studyInstanceUID) ?? "")
            self.series = try UID(lenient: dataSet.string(.seriesInstanceUID) ?? "")
            self.sopInstance = try UID(lenient: dataSet.string(.sopInstanceUID) ?? "")
        } catch {
            throw CommandError("\(shown): its study, series and instance can't be read: \(error.message)")
        }
        self.path = path
        self.byteCount = try handle.seekToEnd()
    }
}
