// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import Foundation
import NIOCore

/// `varve dicom dump FILE...`.
struct DICOMDumpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump",
        abstract: "Print the elements of DICOM files: tag, VR, value, length, number of values and name.",
        discussion: """
            Text is shown in UTF-8 whatever its character set; control characters are escaped.
            Example: varve dicom dump --full image.dcm
            """
    )

    @Argument(help: "Files.") var paths: [String]
    @Flag(help: "Print the DICOM JSON model, one line a file; large values as URIs into the file.") var json = false
    @Flag(help: "Print values in full.") var full = false
    @Flag(help: "Print the byte offset of each element in its data set.") var offsets = false

    /// Values up to this size stand inline in JSON.
    static let inlineByteCount = 1024

    func run() async throws {
        var failed = false
        for path in paths {
            do {
                let input = try DICOMInput(path: path)
                if json { try dumpJSON(input) } else { try dump(input) }
            } catch let error as CommandError {
                complain(error.description)
                failed = true
            }
        }
        if failed { throw ExitCode(1) }
    }

    private func dump(_ input: DICOMInput) throws {
        var lines = OutputLines()
        defer { lines.flush() }
        var options = DataSetDump.Options()
        if full {
            options.maximumValueCount = nil
            options.maximumFragmentCount = Int.max
        }
        options.showsOffsets = offsets
        lines.add("# \(TerminalText.escaped(input.path))")
        let content = try input.readAvailable()
        let (header, result) = (content.header, content.result)
        if !header.meta.elements.isEmpty {
            lines.add("# file meta information" + (header.preamble == nil ? ", without preamble" : ""))
            DataSetDump.write(header.meta.elements, options: options) { lines.add($0) }
        }
        lines.add("# data set: \(content.syntax.name), \(result.source.readableBytes) bytes at \(header.dataSetOffset)")
        DataSetDump.write(result.dataSet, options: options) { lines.add($0) }
        if input.isHead, let pixels = result.pixelData {
            let length = pixels.byteCount.map { "\($0) bytes" } ?? "encapsulated"
            lines.add("\(pixels.tag) \(pixels.vr) (\(length), not read: the file is large)")
        }
        if result.trailingByteCount > 0 { lines.add("# \(result.trailingByteCount) zero bytes follow") }
        lines.add("")
        if let failure = content.failure { throw CommandError("\(TerminalText.escaped(input.path)): \(failure)") }
    }

    private func dumpJSON(_ input: DICOMInput) throws {
        let content = try input.read()
        var line = ByteBuffer()
        DICOMJSON.write(content.result.dataSet, into: &line) { _, element in
            if let bytes = element.value.bytes, bytes.readableBytes <= Self.inlineByteCount || full { return nil }
            return input.bulkDataURI(of: element, dataSetOffset: content.header.dataSetOffset, content.syntax)
        }
        line.writeString("\n")
        FileHandle.standardOutput.write(Data(line.readableBytesView))
    }
}

/// Lines for standard output, written in blocks: a dump has thousands.
struct OutputLines {
    private var text = ""

    mutating func add(_ line: String) {
        text += line
        text += "\n"
        if text.utf8.count > 1 << 16 { flush() }
    }

    mutating func flush() {
        FileHandle.standardOutput.write(Data(text.utf8))
        text = ""
    }
}
