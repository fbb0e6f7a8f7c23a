// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import DICOMNetworking
import DIMSE
import NIOPosix

/// `varve get`: has a DICOM application entity send instances to us, and writes them as files (C-GET).
struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Retrieve instances from a DICOM application entity into a directory (C-GET).",
        discussion: """
            Example: varve get --output ./study StudyInstanceUID=1.2.840.113619.2.5
            Each instance becomes STUDY/SERIES/INSTANCE.dcm in the directory; a file that is there is replaced.
            """
    )

    @OptionGroup var dicom: DICOMOptions
    @OptionGroup var query: QueryOptions
    @Option(help: "The directory to write to.") var output: String
    @Option(
        name: .customLong("sop-class"),
        help: "UID of a storage SOP class to take, can be repeated; without, the 127 most common ones."
    )
    var sopClasses: [String] = []
    @Option(
        name: .customLong("transfer-syntax"),
        help: """
            Name or UID of a transfer syntax to take for each SOP class, can be repeated; without, native pixel data in \
            Explicit or Implicit VR Little Endian.
            """
    )
    var transferSyntaxes: [String] = []
    @Argument(help: "KEY=VALUE: the unique keys of the level and those above it.") var keys: [String]

    func validate() throws {
        _ = try query.identifier(keys)
        _ = try storage()
    }

    func run() async throws {
        let identifier = try query.identifier(keys)
        let (association, syntax) = try await query.connect(.get, dicom, storage: try storage())
        let folder: InstanceFolder
        do throws(DICOMNetworkError) {
            folder = try InstanceFolder(output, sourceAETitle: try aeTitle(), pool: .singleton)
        } catch {
            await association.abort()
            throw CommandError(error.message)
        }
        var (receivedCount, failedCount) = (0, 0)
        let last = try await association.get(
            query.sopClass(.get),
            identifier: try DataSetWriter.write(identifier, transferSyntax: syntax)
        ) { store in
            let answer = await folder.write(store)
            if answer.status.isSuccess {
                receivedCount += 1
            } else {
                failedCount += 1
                complain("not written: \(TerminalText.escaped(store.sopInstanceUID)): \(answer.errorComment ?? "")")
            }
            return answer
        }
        try await association.release()
        // Those that the peer did not even send, for want of a presentation context say, it alone knows of.
        let failed = max(failedCount, last.counts?.failed ?? 0)
        varve.output("\(receivedCount) received, \(failed) failed")
        if let list = last.identifier {
            let failed = try DataSetReader.read(list, transferSyntax: syntax).dataSet
            for uid in failed.strings(Tag(0x0008, 0x0058)) { complain("not received: \(TerminalText.escaped(uid))") }
        }
        guard last.status.isSuccess else { throw CommandError(last.failure("get")) }
        guard failed == 0 else { throw CommandError("not all instances were received") }
    }

    private func aeTitle() throws(DICOMNetworkError) -> AETitle {
        do throws(DIMSEError) {
            return try AETitle(dicom.called)
        } catch {
            throw DICOMNetworkError(.usage, "\(error)")
        }
    }

    /// The presentation contexts for what we take: one for each SOP class, or for each with each transfer syntax named.
    private func storage() throws -> [(sopClass: String, transferSyntaxes: [String])] {
        for uid in sopClasses where !UIDText.isValid(uid) {
            throw ValidationError("'\(uid)' is not the UID of a SOP class")
        }
        let classes = sopClasses.isEmpty ? Self.commonSOPClasses : sopClasses
        let syntaxes = try transferSyntaxes.map { name in
            guard let syntax = DICOMConvertCommand.syntax(named: name) else {
                throw ValidationError("'\(name)' is neither name nor UID of a transfer syntax")
            }
            return syntax.uid.string
        }
        let native = [UIDText.explicitVRLittleEndian, UIDText.implicitVRLittleEndian]
        let contexts = classes.flatMap { sopClass in
            syntaxes.isEmpty ? [(sopClass, native)] : syntaxes.map { (sopClass, [$0]) }
        }
        guard contexts.count < DICOMClient.maximumContexts else {
            throw ValidationError(
                "these are \(contexts.count) presentation contexts and an association has room for 127: "
                    + "name the SOP classes with --sop-class"
            )
        }
        return contexts.map { (sopClass: $0.0, transferSyntaxes: $0.1) }
    }

    /// As many of the standard's storage SOP classes as an association has room for.
    private static var commonSOPClasses: [String] {
        let common = UIDRegistry.allStorageSOPClasses.filter { isCommon($0) }
        return common.prefix(DICOMClient.maximumContexts - 1).map(\.string)
    }

    private static func isCommon(_ uid: UID) -> Bool {
        let root = DICOMServerConfiguration.storageSOPClassRoot
        guard uid.string.hasPrefix(root) else { return false }
        let rest = uid.string.dropFirst(root.count)
        let name = UIDRegistry.name(of: uid) ?? ""
        if retired.contains(String(rest)) || name.contains("Trial") || name.contains("Standalone") { return false }
        // Of radiotherapy the first generation: 481.1 to 481.9.
        if rest.hasPrefix("481.") { return rest.count == 5 }
        return !rare.contains { rest.hasPrefix($0) }
    }

    /// Refraction and other measurements of the eye, protocols, inventories, security and industry.
    private static let rare = ["78.", "79.", "80.", "81.", "82.", "200.", "201.", "501.", "601."]
    /// Older forms of classes that are there under another UID.
    private static let retired: Set<String> = ["3", "5", "6", "12.3"]
}
