// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import DICOMNetworking
import DIMSE

/// What the query and retrieval commands have in common: level, information model, keys.
struct QueryOptions: ParsableArguments {
    @Option(help: "patient, study, series or image.") var level = "study"
    @Flag(help: "Ask in the Patient Root information model; otherwise Study Root, except for patients.")
    var patientRoot = false

    /// A key of a query.
    struct Key {
        let name: String
        let tag: Tag
        let value: String
    }

    func validate() throws {
        guard queryLevel != nil else { throw ValidationError("--level must be patient, study, series or image") }
    }

    private var queryLevel: QueryRetrieveLevel? { QueryRetrieveLevel(level.uppercased()) }

    func sopClass(_ operation: QueryRetrieveSOPClass.Operation) -> QueryRetrieveSOPClass {
        QueryRetrieveSOPClass(patientRoot || queryLevel == .patient ? .patientRoot : .studyRoot, operation)
    }

    /// What is shown where nothing is asked for.
    var defaultKeys: [String] {
        switch queryLevel {
        case .patient: ["PatientID", "PatientName", "PatientBirthDate", "PatientSex"]
        case .series: ["StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription"]
        case .image: ["SOPInstanceUID", "SOPClassUID", "InstanceNumber"]
        case .study, nil:
            ["StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "ModalitiesInStudy", "StudyDescription"]
        }
    }

    /// Reads `KEY` or `KEY=VALUE`.
    static func key(_ text: String) throws -> Key {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
        guard let tag = DataDictionary.tag(forKeyword: parts[0]) ?? Tag(hexadecimal: parts[0]) else {
            throw ValidationError("'\(parts[0])' is neither a keyword of the standard nor eight hexadecimal digits")
        }
        let name = DataDictionary.entry(for: tag)?.keyword ?? tag.hexadecimal
        return Key(name: name, tag: tag, value: parts.count > 1 ? parts[1] : "")
    }

    /// The identifier of a request.
    func identifier(_ keys: [String]) throws -> DataSet {
        var identifier = DataSet()
        identifier.set(.queryRetrieveLevel, .cs, level.uppercased())
        for key in try keys.map({ try Self.key($0) }) {
            let vr = DataDictionary.vr(for: key.tag).vr
            guard key.value.isEmpty || vr.isText else {
                throw ValidationError("\(key.name) is no text and cannot be matched")
            }
            if vr == .sq {
                identifier.set(DataElement(tag: key.tag, vr: .sq, value: .items([])))
            } else {
                identifier.set(key.tag, vr, key.value)
            }
            if !key.value.utf8.allSatisfy({ $0 < 0x80 }) { identifier.set(.specificCharacterSet, .cs, "ISO_IR 192") }
        }
        return identifier
    }

    /// An association for the operation, and the transfer syntax of its identifiers.
    ///
    /// `storage` is what we take over it (C-GET): SOP classes with their transfer syntaxes, at most 127.
    func connect(
        _ operation: QueryRetrieveSOPClass.Operation,
        _ dicom: DICOMOptions,
        storage: [(sopClass: String, transferSyntaxes: [String])] = []
    ) async throws -> (DICOMAssociation, TransferSyntax) {
        let sopClass = sopClass(operation)
        let association = try await dicom.client().connect(
            contexts: DICOMClient.contexts(
                [(sopClass.uid, [UIDText.explicitVRLittleEndian, UIDText.implicitVRLittleEndian])] + storage
            ),
            roles: Set(storage.map(\.sopClass)).sorted().map {
                RoleSelection(sopClassUID: $0, isSCU: false, isSCP: true)
            }
        )
        let accepted = association.contexts.context(abstractSyntax: sopClass.uid, transferSyntax: nil)
        guard let accepted, let syntax = TransferSyntax.known(accepted.transferSyntax) else {
            await association.abort()
            throw CommandError("\(dicom.called) at \(dicom.host):\(dicom.port) does not serve this query or retrieval")
        }
        return (association, syntax)
    }
}

extension QueryRetrieveResponse {
    /// In words for the operator.
    func failure(_ what: String) -> String {
        let tags = offendingElements.map { Tag(rawValue: $0).description }.joined(separator: " ")
        let parts = [errorComment.map { TerminalText.escaped($0) } ?? "", tags].filter { !$0.isEmpty }
        return "the peer answered C-\(what.uppercased()) with status \(status)"
            + (parts.isEmpty ? "" : ": " + parts.joined(separator: " "))
    }
}
