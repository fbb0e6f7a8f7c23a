// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import Foundation
import NIOCore

/// `varve dicom convert IN OUT`.
struct DICOMConvertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Write a DICOM file in another transfer syntax, or as JSON; read JSON as DICOM.",
        discussion: """
            Compressed pixel data is decoded for a native syntax, native pixel data is compressed without loss, and proven, for
            JPEG-LS, JPEG 2000, HTJ2K and RLE Lossless.
            Example: varve dicom convert in.dcm out.dcm --transfer-syntax 'Explicit VR Little Endian'
                     varve dicom convert in.dcm out.dcm --transfer-syntax 1.2.840.10008.1.2.4.80
                     varve dicom convert in.dcm out.json --json
            """
    )

    @Argument(help: "The file to read: DICOM or DICOM JSON.") var input: String
    @Argument(help: "The file to write; it must not exist.") var output: String
    @Option(help: "Name or UID of the transfer syntax to write; left out, it stays.") var transferSyntax: String?
    @Flag(help: "Write the DICOM JSON model; compressed pixel data as a URI into the input.") var json = false

    func validate() throws {
        if json, transferSyntax != nil { throw ValidationError("--json and --transfer-syntax exclude each other") }
        if let transferSyntax, Self.syntax(named: transferSyntax) == nil {
            throw ValidationError("'\(transferSyntax)' is neither name nor UID of a transfer syntax")
        }
    }

    func run() async throws {
        guard !FileManager.default.fileExists(atPath: output) else {
            throw CommandError("\(TerminalText.escaped(output)) exists: remove it or name another file")
        }
        let source = try DICOMInput(path: input)
        guard !source.isHead else {
            throw CommandError("\(TerminalText.escaped(input)) is larger than 1 GiB, which convert can't hold")
        }
        let result = try source.isJSON ? convertJSON(source) : json ? writeJSON(source) : convert(source)
        let url = URL(fileURLWithPath: output)
        try Data(result.readableBytesView).write(to: url, options: .withoutOverwriting)
    }

    /// The syntax with this UID or name; capitals, spaces and punctuation of names don't count.
    static func syntax(named name: String) -> TransferSyntax? {
        if let known = TransferSyntax.known(name) { return known }
        func key(_ text: String) -> String { text.lowercased().filter { $0.isLetter || $0.isNumber } }
        return TransferSyntax.all.first { key($0.name) == key(name) }
    }

    private func convert(_ source: DICOMInput) throws -> ByteBuffer {
        let content = try source.read()
        let (header, from, result) = (content.header, content.syntax, content.result)
        let target = transferSyntax.flatMap { Self.syntax(named: $0) } ?? from
        var dataSet = result.dataSet
        if from != target, from.isEncapsulated || target.isEncapsulated, result.pixelData != nil {
            dataSet = try recoded(source, content, to: target)
        }
        return try file(dataSet, header.meta, target, preamble: header.preamble)
    }

    private func recoded(
        _ source: DICOMInput,
        _ content: DICOMInput.Content,
        to target: TransferSyntax
    ) throws -> DataSet {
        let name = TerminalText.escaped(input)
        let encoder = FrameRecoding.encoder(of: target)
        guard !target.isEncapsulated || encoder != nil else {
            throw CommandError(
                "\(name): convert does not write \(target.name); of compressed syntaxes it writes JPEG-LS,"
                    + " JPEG 2000, HTJ2K and RLE, all lossless"
            )
        }
        var body = source.bytes
        body.moveReaderIndex(forwardBy: content.header.dataSetOffset)
        do {
            let native = try FrameRecoding.native(body, from: content.syntax)
            guard let encoder else { return native }
            return try FrameRecoding.encoded(native, with: encoder)
        } catch let error as CommandError {
            throw CommandError("\(name): \(error)")
        }
    }

    private func convertJSON(_ source: DICOMInput) throws -> ByteBuffer {
        guard !json else { throw CommandError("\(TerminalText.escaped(input)) is JSON already") }
        let target = transferSyntax.flatMap { Self.syntax(named: $0) } ?? .explicitVRLittleEndian
        do {
            let dataSet = try DICOMJSON.read(source.bytes) { reference throws(DICOMError) in
                throw DICOMError(
                    .invalidValue,
                    "the value is elsewhere (BulkDataURI), and convert does not fetch it",
                    tagPath: reference.path.tag.description
                )
            }
            guard !target.isEncapsulated || dataSet[.pixelData] == nil else {
                throw CommandError("pixel data in JSON is native and can't be written as \(target.name)")
            }
            return try file(dataSet, FileMeta(elements: DataSet()), target, preamble: nil)
        } catch let error as DICOMError {
            throw CommandError("\(TerminalText.escaped(input)): \(error)")
        }
    }

    private func writeJSON(_ source: DICOMInput) throws -> ByteBuffer {
        let content = try source.read()
        var text = ByteBuffer()
        DICOMJSON.write(content.result.dataSet, into: &text) { _, element in
            guard case .fragments = element.value else { return nil }
            return source.bulkDataURI(of: element, dataSetOffset: content.header.dataSetOffset, content.syntax)
        }
        text.writeString("\n")
        return text
    }

    /// A whole file: the file meta information says who wrote it and in what syntax.
    private func file(
        _ dataSet: DataSet,
        _ received: FileMeta,
        _ syntax: TransferSyntax,
        preamble: ByteBuffer?
    ) throws -> ByteBuffer {
        guard let sopClass = dataSet.uid(.sopClassUID) ?? received.mediaStorageSOPClassUID,
            let sopInstance = dataSet.uid(.sopInstanceUID) ?? received.mediaStorageSOPInstanceUID
        else { throw CommandError("\(TerminalText.escaped(input)) names no SOP Class or SOP Instance") }
        let meta = FileMeta(
            sopClassUID: sopClass,
            sopInstanceUID: sopInstance,
            transferSyntax: syntax,
            sourceAETitle: received.sourceAETitle
        )
        var dataSet = dataSet
        // Group 0002 has no place in a data set, but JSON may bring it.
        for element in dataSet.elements where element.tag.group == 2 { dataSet.remove(element.tag) }
        var file = try Part10.write(meta, preamble: preamble)
        // What UN holds stays little endian (PS3.5 section 6.2.2), which many readers don't know: as SQ it is clear.
        var options = DataSetWriter.Options()
        options.convertsUnknownSequences = dataSet.encoding.isBigEndian != syntax.isBigEndian
        var body = try DataSetWriter.write(dataSet, transferSyntax: syntax, options: options)
        file.writeBuffer(&body)
        return file
    }
}
