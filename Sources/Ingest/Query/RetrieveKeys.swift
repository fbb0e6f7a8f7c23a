// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import DIMSE

/// What a C-GET or C-MOVE asks for, by unique keys (PS3.4 section C.4.2.1.4).
///
/// The level's own key may be a list. Those above it have one value each (``requireKeysAbove()``), unless relational retrieval
/// was negotiated (PS3.4 section C.4.2.2.2): then they may be missing, or be lists. Patient ID may be missing below PATIENT: a
/// study's UID names it alone. Other attributes are ignored.
package struct RetrieveKeys: Sendable, Hashable {
    package let level: QueryRetrieveLevel
    /// Empty where it was not given.
    package let patientID: String
    package let studies: [String]
    package let series: [String]
    package let instances: [String]

    package init(_ identifier: DataSet, model: QueryRetrieveSOPClass.Model) throws(QueryRefusal) {
        let level = try FindQuery.level(of: identifier, model: model)
        self.level = level
        let patientIDs =
            model == .patientRoot ? identifier.strings(.patientID).filter { !$0.isEmpty } : []
        guard patientIDs.count <= 1, level > .patient || !patientIDs.isEmpty else {
            throw .identifier("PatientID must have one value at level \(level.name)", .patientID)
        }
        // A wildcard would retrieve more than anybody means.
        guard
            !patientIDs.contains(where: {
                $0.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
            })
        else { throw .identifier("PatientID must be without wildcards", .patientID) }
        self.patientID = patientIDs.first ?? ""
        self.studies = try Self.uids(.studyInstanceUID, of: .study, in: identifier, level: level)
        self.series = try Self.uids(.seriesInstanceUID, of: .series, in: identifier, level: level)
        self.instances = try Self.uids(.sopInstanceUID, of: .image, in: identifier, level: level)
    }

    /// Whether the unique keys above the level have one value each, so that the instances are where they say.
    package var isHierarchical: Bool {
        (level < .series || studies.count == 1) && (level < .image || series.count == 1)
    }

    /// What is wanted without relational retrieval (PS3.4 section C.4.2.2.1).
    package func requireKeysAbove() throws(QueryRefusal) {
        for (tag, keyLevel, values) in [
            (Tag.studyInstanceUID, QueryRetrieveLevel.study, studies), (.seriesInstanceUID, .series, series),
        ] where keyLevel < level && values.count != 1 {
            let keyword = DataDictionary.entry(for: tag)?.keyword ?? "\(tag)"
            throw .identifier("\(keyword) must have one value at level \(level.name)", tag)
        }
    }

    /// The values of a unique key, each once; none where the key is below the level.
    private static func uids(
        _ tag: Tag,
        of keyLevel: QueryRetrieveLevel,
        in identifier: DataSet,
        level: QueryRetrieveLevel
    ) throws(QueryRefusal) -> [String] {
        guard keyLevel <= level else { return [] }
        let keyword = DataDictionary.entry(for: tag)?.keyword ?? "\(tag)"
        var seen: Set<String> = []
        let values = identifier.strings(tag).filter { !$0.isEmpty && seen.insert($0).inserted }
        guard keyLevel < level || !values.isEmpty, values.count <= FindQuery.maximumListCount,
            values.allSatisfy(UIDText.isValid)
        else {
            throw .identifier("\(keyword) must be UIDs at level \(level.name)", tag)
        }
        return values
    }
}
