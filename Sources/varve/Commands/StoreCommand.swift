// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import DICOMNetworking
import DIMSE
import Foundation
import NIOCore

/// `varve store PATH...`: sends files and folders of DICOM as they are.
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Send DICOM files and folders (C-STORE), each in the transfer syntax it has.",
        discussion: "Example: varve store --port 11112 ./study"
    )

    @OptionGroup var dicom: DICOMOptions
    @Argument(help: "Files, or folders that are searched for DICOM files.") var paths: [String]
    @Option(help: "Associations at once.") var associations = 1

    func validate() throws {
        guard (1...64).contains(associations) else { throw ValidationError("--associations must be from 1 to 64") }
    }

    func run() async throws {
        let files = try DICOMFile.find(paths)
        guard !files.isEmpty else { throw CommandError("no DICOM files in \(paths.joined(separator: ", "))") }
        let client = try dicom.client()
        let lanes = (0..<min(associations, files.count)).map { lane in
            stride(from: lane, to: files.count, by: associations).map { files[$0] }
        }
        let failures = try await withThrowingTaskGroup(of: [String].self) { tasks in
            for lane in lanes { tasks.addTask { try await Self.send(lane, by: client) } }
            return try await tasks.reduce(into: []) { $0 += $1 }
        }
        for failure in failures { complain(failure) }
        output("\(files.count - failures.count) of \(files.count) instances stored")
        if !failures.isEmpty { throw ExitCode(1) }
    }

    /// Sends the files over as few associations as their kinds allow (128 presentation contexts each); returns a
    /// line for each that was not stored.
    private static func send(_ files: [DICOMFile], by client: DICOMClient) async throws -> [String] {
        var failures: [String] = []
        var rest = files[...]
        while !rest.isEmpty {
            var kinds: [DICOMFile.Kind] = []
            let batch = rest.prefix { file in
                if kinds.contains(file.kind) { return true }
                guard kinds.count < DICOMClient.maximumContexts else { return false }
                kinds.append(file.kind)
                return true
            }
            rest = rest.dropFirst(batch.count)
            let association = try await client.connect(
                contexts: DICOMClient.contexts(
                    kinds.map { (sopClass: $0.sopClass, transferSyntaxes: [$0.transferSyntax]) }
                )
            )
            for file in batch {
                if let failure = try await send(file, over: association) { failures.append(failure) }
            }
            try await association.release()
        }
        return failures
    }

    private static func send(_ file: DICOMFile, over association: DICOMAssociation) async throws -> String? {
        let dataSet = try file.dataSet()
        do throws(DICOMNetworkError) {
            let response = try await association.store(
                dataSet,
                sopClassUID: file.kind.sopClass,
                sopInstanceUID: file.sopInstance,
                transferSyntax: file.kind.transferSyntax
            )
            guard response.status != .success else { return nil }
            return "\(file.path): \(response.status) \(response.errorComment ?? "")"
        } catch {
            guard error.code == .contextNotAccepted else { throw error }
            return "\(file.path): \(error.message)"
        }
    }
}

/// A DICOM file on disk: what has to be known to propose and send it.
struct DICOMFile: Sendable {
    struct Kind: Hashable, Sendable {
        let sopClass: String
        let transferSyntax: String
    }

    let path: String
    let kind: Kind
    let sopInstance: String
    private let dataSetOffset: Int

    /// All DICOM files among `paths`, folders searched, in order of their paths.
    ///
    /// Other files in folders are skipped; a file that was named and is not DICOM is an error.
    static func find(_ paths: [String]) throws -> [DICOMFile] {
        var files: [DICOMFile] = []
        for path in paths {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
                throw CommandError("there is no file or folder \(path)")
            }
            if isDirectory.boolValue {
                let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
                for name in names.sorted() {
                    // A folder holds other files, too: what is not DICOM is passed over.
                    if let file = try? DICOMFile(path: path + "/" + name) { files.append(file) }
                }
            } else {
                files.append(try DICOMFile(path: path))
            }
        }
        return files
    }

    private init(path: String) throws {
        guard let handle = FileHandle(forReadingAtPath: path) else { throw CommandError("cannot read \(path)") }
        let head = ByteBuffer(bytes: try handle.read(upToCount: 1 << 20) ?? Data())
        let header = try Part10.readHeader(head)
        guard header.preamble != nil, let syntax = header.transferSyntax else {
            throw CommandError("\(path) is not a DICOM file")
        }
        self.path = path
        self.dataSetOffset = header.dataSetOffset
        // The file meta information is a copy that may be wrong: what counts is in the data set.
        let start = head.getSlice(at: header.dataSetOffset, length: head.readableBytes - header.dataSetOffset)
        let dataSet = try DataSetReader.readHeader(start ?? ByteBuffer(), transferSyntax: syntax).dataSet
        guard
            let sopClass = dataSet.string(.sopClassUID) ?? header.meta.mediaStorageSOPClassUID?.string,
            let sopInstance = dataSet.string(.sopInstanceUID) ?? header.meta.mediaStorageSOPInstanceUID?.string
        else {
            throw CommandError("\(path) names no SOP Class or SOP Instance")
        }
        self.kind = Kind(sopClass: sopClass, transferSyntax: syntax.uid.string)
        self.sopInstance = sopInstance
    }

    /// The file's data set, without file meta information.
    func dataSet() throws -> ByteBuffer {
        var bytes = ByteBuffer(bytes: try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe))
        bytes.moveReaderIndex(forwardBy: dataSetOffset)
        return bytes
    }
}
