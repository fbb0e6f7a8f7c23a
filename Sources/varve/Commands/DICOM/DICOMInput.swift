// SPDX-License-Identifier: Apache-2.0

import DICOM
import Foundation
import NIOCore

/// A file that was named on the command line: DICOM, or the DICOM JSON model.
struct DICOMInput {
    /// The most that is read whole; of larger files everything before Pixel Data.
    static let maximumByteCount: UInt64 = 1 << 30
    /// How much of a larger file is read.
    static let headByteCount = 64 << 20

    let path: String
    let bytes: ByteBuffer
    /// The file is larger than `bytes`.
    let isHead: Bool

    /// Reads the file; what is wrong with it as a file is an error, whatever it holds.
    init(path: String) throws {
        self.path = path
        let shown = TerminalText.escaped(path)
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw CommandError("there is no file \(shown)")
        }
        guard !isDirectory.boolValue else { throw CommandError("\(shown) is a folder: name files") }
        guard let handle = FileHandle(forReadingAtPath: path) else { throw CommandError("cannot read \(shown)") }
        defer { try? handle.close() }  // Nothing was written.
        let byteCount = try handle.seekToEnd()
        try handle.seek(toOffset: 0)
        self.isHead = byteCount > Self.maximumByteCount
        let wanted = self.isHead ? Self.headByteCount : Int(byteCount)
        self.bytes = ByteBuffer(bytes: try handle.read(upToCount: wanted) ?? Data())
    }

    /// JSON begins with a brace or a bracket; no DICOM file does.
    var isJSON: Bool {
        let first = self.bytes.readableBytesView.first { ![0x20, 0x09, 0x0A, 0x0D, 0xEF, 0xBB, 0xBF].contains($0) }
        return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    }

    /// What was read of a file.
    struct Content {
        let header: Part10.Header
        let syntax: TransferSyntax
        /// Of a large file the data set before Pixel Data; of a broken one what comes before the fault.
        let result: ReadResult
        let failure: DICOMError?
    }

    /// Reads the file meta information and the data set, as far as it can be read.
    func readAvailable() throws -> Content {
        let name = TerminalText.escaped(path)
        do {
            let header = try Part10.readHeader(bytes)
            guard let syntax = header.transferSyntax else {
                let uid = header.meta.transferSyntaxUID?.string ?? "none"
                throw CommandError("\(name): the transfer syntax \(uid) is not one of the standard")
            }
            var body = bytes
            body.moveReaderIndex(forwardBy: header.dataSetOffset)
            guard isHead else {
                let (result, failure) = DataSetReader.readAvailable(body, transferSyntax: syntax)
                if let result { return Content(header: header, syntax: syntax, result: result, failure: failure) }
                throw CommandError("\(name): \(failure?.description ?? "no data set")")
            }
            guard !syntax.isDeflated else {
                throw CommandError("\(name) is deflated and too large to be read whole")
            }
            let result = try DataSetReader.readHeader(body, transferSyntax: syntax)
            return Content(header: header, syntax: syntax, result: result, failure: nil)
        } catch let error as DICOMError {
            throw CommandError("\(name): \(error)")
        }
    }

    /// Reads a file that has to be whole.
    func read() throws -> Content {
        let content = try readAvailable()
        if let failure = content.failure { throw CommandError("\(TerminalText.escaped(path)): \(failure)") }
        return content
    }

    /// Where an element of `result` is in the file, as a URI; nil when it is not there as it is.
    func bulkDataURI(of element: DataElement, dataSetOffset: Int, _ syntax: TransferSyntax) -> String? {
        guard !syntax.isDeflated, let offset = element.valueOffset else { return nil }
        let byteCount: Int
        switch element.value {
        case .bytes(let bytes): byteCount = bytes.readableBytes
        case .fragments(let value): byteCount = value.encodedByteCount
        case .items: return nil
        }
        let url = URL(fileURLWithPath: path).absoluteString
        return "\(url)?offset=\(dataSetOffset + offset)&length=\(byteCount)"
    }
}
