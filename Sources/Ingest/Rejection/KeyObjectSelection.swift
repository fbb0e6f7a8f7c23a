// SPDX-License-Identifier: Apache-2.0

package import DICOM

/// A Key Object Selection document: what it is titled, and which instances it is about (PS3.3 A.35.4, PS3.16 TID 2010).
///
/// A value read from a data set that was parsed already; touches nothing else.
package struct KeyObjectSelection: Sendable, Hashable {
    /// Key Object Selection Document Storage (PS3.4 B.5).
    package static let sopClassUID = "1.2.840.10008.5.1.4.1.1.88.59"
    /// The most instances that one document refers to.
    package static let maximumReferenceCount = 100_000

    /// An instance that the document refers to.
    package struct Reference: Sendable, Hashable {
        package var study: String
        package var series: String
        package var instance: String

        package init(study: String, series: String, instance: String) {
            self.study = study
            self.series = series
            self.instance = instance
        }
    }

    /// Why a document cannot be understood; the text names attributes, never values.
    package struct Fault: Error, Sendable, Hashable {
        package let reason: String
    }

    /// The code of its title, Concept Name Code Sequence: value and designator of the scheme.
    package var titleCode: String
    package var titleScheme: String
    /// What Current Requested Procedure Evidence Sequence names, each instance once, in its order.
    package var references: [Reference]

    package init(titleCode: String, titleScheme: String, references: [Reference]) {
        self.titleCode = titleCode
        self.titleScheme = titleScheme
        self.references = references
    }

    /// The title, when it is one that rejects.
    package var rejection: RejectionTitle? {
        titleScheme == RejectionTitle.scheme ? RejectionTitle(rawValue: titleCode) : nil
    }

    /// Reads a document's title and what it refers to.
    ///
    /// The references of a document whose title does not reject are not looked at: nothing follows from them here.
    package static func read(_ dataSet: DataSet) throws(Fault) -> KeyObjectSelection {
        guard dataSet.string(.sopClassUID) == sopClassUID else {
            throw Fault(reason: "it is no Key Object Selection Document")
        }
        guard let title = dataSet.items(.conceptNameCodeSequence).first else {
            throw Fault(reason: "Concept Name Code Sequence, the document's title, is missing or empty")
        }
        guard let code = title.string(.codeValue), let scheme = title.string(.codingSchemeDesignator) else {
            throw Fault(reason: "the document's title has no Code Value or no Coding Scheme Designator")
        }
        var document = KeyObjectSelection(titleCode: code, titleScheme: scheme, references: [])
        if document.rejection != nil { document.references = try references(dataSet) }
        return document
    }

    private static func references(_ dataSet: DataSet) throws(Fault) -> [Reference] {
        var seen: Set<String> = []
        var found: [Reference] = []
        for study in dataSet.items(.currentRequestedProcedureEvidenceSequence) {
            let studyUID = try uid(.studyInstanceUID, "Study Instance UID", in: study)
            for series in study.items(.referencedSeriesSequence) {
                let seriesUID = try uid(.seriesInstanceUID, "Series Instance UID", in: series)
                for instance in series.items(.referencedSOPSequence) {
                    let uid = try uid(.referencedSOPInstanceUID, "Referenced SOP Instance UID", in: instance)
                    guard seen.insert(uid).inserted else { continue }
                    guard found.count < maximumReferenceCount else {
                        throw Fault(reason: "it refers to more than \(maximumReferenceCount) instances")
                    }
                    found.append(Reference(study: studyUID, series: seriesUID, instance: uid))
                }
            }
        }
        guard !found.isEmpty else {
            throw Fault(reason: "Current Requested Procedure Evidence Sequence names no instance")
        }
        return found
    }

    /// All or nothing: a document that is understood in part would be acted on in part.
    private static func uid(_ tag: Tag, _ name: String, in item: DataSet) throws(Fault) -> String {
        guard let uid = item.uid(tag) else {
            throw Fault(reason: "an item of Current Requested Procedure Evidence Sequence has no \(name)")
        }
        return uid.string
    }
}

extension Tag {
    fileprivate static var codeValue: Tag { Tag(0x0008, 0x0100) }
    fileprivate static var codingSchemeDesignator: Tag { Tag(0x0008, 0x0102) }
    fileprivate static var referencedSeriesSequence: Tag { Tag(0x0008, 0x1115) }
    fileprivate static var referencedSOPSequence: Tag { Tag(0x0008, 0x1199) }
    fileprivate static var conceptNameCodeSequence: Tag { Tag(0x0040, 0xA043) }
    fileprivate static var currentRequestedProcedureEvidenceSequence: Tag { Tag(0x0040, 0xA375) }
}
