// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import DICOMWeb
package import DIMSE

/// A C-FIND's identifier, understood: what must match and what each result returns (PS3.4 section C.4.1).
///
/// The attributes, and how their values are read, are those of QIDO-RS, so that both find the same. Keys of the standard
/// that the catalog does not hold are matched on the instances (``ObjectSearch``) where one of them has a value, and come back
/// from there. Otherwise they, and always private ones and those that belong to a level below, match everything and come
/// back empty; the pending status then says so (FF01H).
package struct FindQuery: Sendable, Hashable {
    /// An attribute that each result returns.
    package struct Key: Sendable, Hashable {
        package enum Source: Sendable, Hashable {
            /// From the catalog, by the tag of the key.
            case catalog
            /// The same in every result; empty for what is not supported.
            case constant(String)
            /// From an instance; what is given is the key as it came, whose item says what of a sequence is wanted.
            case object(DataElement)
        }

        package let tag: Tag
        package let vr: VR
        package let source: Source
    }

    package let level: QueryRetrieveLevel
    package let matches: [QIDOMatch]
    /// What has to match besides, and the catalog does not know.
    package let objectKeys: [ObjectKey]
    /// By tag.
    package let keys: [Key]
    package let hasUnsupportedKeys: Bool
    package let isFuzzy: Bool
    package let combinesDateAndTime: Bool

    /// A question of our own, whose results are not sent to anybody.
    init(level: QueryRetrieveLevel, matches: [QIDOMatch]) {
        self.level = level
        self.matches = matches
        self.objectKeys = []
        self.keys = []
        self.hasUnsupportedKeys = false
        self.isFuzzy = false
        self.combinesDateAndTime = false
    }

    /// Numbers below a patient, which QIDO-RS does not know.
    static let patientCounts: [Tag] = [
        .numberOfPatientRelatedStudies, Tag(0x0020, 0x1202), Tag(0x0020, 0x1204),
    ]

    /// Reads `identifier`; `retrieveAETitle` is where the results can be had.
    package init(
        _ identifier: DataSet,
        model: QueryRetrieveSOPClass.Model,
        options: QueryRetrieveOptions,
        retrieveAETitle: String
    ) throws(QueryRefusal) {
        let level = try Self.level(of: identifier, model: model)
        let combines = options.contains(.combinedDateTime)
        var matches: [QIDOMatch] = []
        var keys: [Tag: Key] = [:]
        var hasUnsupportedKeys = false
        var objectKeys: [ObjectKey] = []
        var ofObjects: [DataElement] = []
        for element in identifier.elements {
            switch Self.role(of: element, level: level) {
            case .ignored: continue
            case .attribute(let attribute):
                keys[element.tag] = Key(attribute)
                let values = identifier.strings(of: element)
                if !Self.isUniversal(values), !attribute.isMatchable { hasUnsupportedKeys = true }
                if attribute.isMatchable,
                    let condition = try Self.condition(values, attribute, combines: combines, in: identifier)
                {
                    matches.append(QIDOMatch(attribute, condition))
                }
            case .count:
                keys[element.tag] = Key(tag: element.tag, vr: .is, source: .catalog)
                if !element.value.isEmpty { hasUnsupportedKeys = true }
            case .privateCreator:
                // Names the block of the private keys that follow it, and is no key itself (PS3.5 section 7.8.1).
                let name = identifier.strings(of: element).first ?? ""
                keys[element.tag] = Key(tag: element.tag, vr: .lo, source: .constant(name))
            case .object:
                ofObjects.append(element)
                if let key = try ObjectKey(element, of: identifier) { objectKeys.append(key) }
            case .unsupported:
                keys[element.tag] = Key(tag: element.tag, vr: element.vr, source: .constant(""))
                hasUnsupportedKeys = true
            }
        }
        for element in ofObjects {
            // Instances are read to match them, not only to fill in what is asked for.
            let source = objectKeys.isEmpty ? Key.Source.constant("") : .object(element)
            keys[element.tag] = Key(tag: element.tag, vr: element.vr, source: source)
            if objectKeys.isEmpty { hasUnsupportedKeys = true }
        }
        if !options.contains(.relational) {
            try Self.requireUniqueKeys(above: level, model: model, matches)
        }
        for attribute in Self.uniqueKeys(through: level, model: model) where keys[Tag(attribute)] == nil {
            keys[Tag(attribute)] = Key(attribute)
        }
        let constants: [(Tag, VR, String)] = [
            (.queryRetrieveLevel, .cs, level.name), (.retrieveAETitle, .ae, retrieveAETitle),
            // Of whatever is on a node; matches that are in packs only say so.
            (.instanceAvailability, .cs, InstanceAvailability.online),
        ]
        for (tag, vr, text) in constants { keys[tag] = Key(tag: tag, vr: vr, source: .constant(text)) }
        self.level = level
        self.matches = matches
        self.objectKeys = objectKeys
        self.keys = keys.values.sorted { $0.tag < $1.tag }
        self.hasUnsupportedKeys = hasUnsupportedKeys
        self.isFuzzy = options.contains(.fuzzyNames)
        self.combinesDateAndTime = combines
    }

    /// Reads Query/Retrieve Level (0008,0052), which has to be one of the model's.
    static func level(
        of identifier: DataSet,
        model: QueryRetrieveSOPClass.Model
    ) throws(QueryRefusal) -> QueryRetrieveLevel {
        guard let text = identifier.string(.queryRetrieveLevel) else {
            throw .identifier("the identifier has no Query/Retrieve Level", .queryRetrieveLevel)
        }
        guard let level = QueryRetrieveLevel(text), model == .patientRoot || level != .patient else {
            throw .identifier("Query/Retrieve Level is not one of the information model", .queryRetrieveLevel)
        }
        return level
    }

    /// Unique keys of the levels above, one value each, are what makes a hierarchical query one (PS3.4 §C.4.1.2.1).
    private static func requireUniqueKeys(
        above level: QueryRetrieveLevel,
        model: QueryRetrieveSOPClass.Model,
        _ matches: [QIDOMatch]
    ) throws(QueryRefusal) {
        for attribute in uniqueKeys(through: level, model: model).dropLast() {
            guard let match = matches.first(where: { $0.attribute == attribute }), case .single = match.condition else {
                throw .identifier("\(attribute.keyword) must have one value at level \(level.name)", Tag(attribute))
            }
        }
    }

    /// The unique keys from the model's root down to a level.
    private static func uniqueKeys(
        through level: QueryRetrieveLevel,
        model: QueryRetrieveSOPClass.Model
    ) -> [QIDOAttribute] {
        let all: [QIDOAttribute] = [.patientID, .studyInstanceUID, .seriesInstanceUID, .sopInstanceUID]
        return Array(all[(model == .patientRoot ? 0 : 1)...level.rawValue])
    }
}

extension FindQuery {
    private enum Role {
        /// Neither matched nor returned.
        case ignored
        case attribute(QIDOAttribute)
        /// A number below the patient.
        case count
        case privateCreator
        /// Of the standard, but not in the catalog.
        case object
        case unsupported
    }

    /// Attributes that no instance has: they are for queries only, or of the archive.
    private static let neverInObjects: Set<Tag> = [
        Tag(0x0008, 0x0053), Tag(0x0008, 0x0055), Tag(0x0008, 0x0062), Tag(0x0008, 0x1190), Tag(0x0088, 0x0130),
        Tag(0x0088, 0x0140), Tag(0x0020, 0x1206), Tag(0x0020, 0x1208), Tag(0x0020, 0x1209),
    ]

    private static func role(of element: DataElement, level: QueryRetrieveLevel) -> Role {
        let tag = element.tag
        // Timezone Offset From UTC says how dates are meant, Specific Character Set how text is written.
        if tag.isGroupLength || tag == .specificCharacterSet || tag == .timezoneOffsetFromUTC { return .ignored }
        if tag == .queryRetrieveLevel || tag == .retrieveAETitle || tag == .instanceAvailability { return .ignored }
        if tag.isPrivateCreator { return .privateCreator }
        if level == .patient, patientCounts.contains(tag) { return .count }
        if let attribute = QIDOAttribute(rawValue: tag.rawValue) {
            return attribute.isKnown(at: level) ? .attribute(attribute) : .unsupported
        }
        let isOfObjects =
            level > .patient && DataDictionary.entry(for: tag) != nil && !neverInObjects.contains(tag)
            && !patientCounts.contains(tag) && !element.vr.isBulk
        return isOfObjects ? .object : .unsupported
    }

    /// What the values of a key match; nil when that is everything.
    private static func condition(
        _ values: [String],
        _ attribute: QIDOAttribute,
        combines: Bool,
        in identifier: DataSet
    ) throws(QueryRefusal) -> QIDOCondition? {
        if isUniversal(values) { return nil }
        if attribute.vr == "UI" { return try uids(values, attribute) }
        do throws(DICOMWebError) {
            return try QIDOCondition(
                values,
                for: attribute,
                isCombined: combines && bounds(attribute.date, in: identifier)
            )
        } catch {
            throw .identifier(error.message, Tag(attribute))
        }
    }

    /// One UID, or a list of any length that the catalog takes (PS3.4 section C.2.2.2.2).
    private static func uids(_ values: [String], _ attribute: QIDOAttribute) throws(QueryRefusal) -> QIDOCondition {
        guard values.count <= maximumListCount else {
            throw .identifier("\(attribute.keyword) has more than \(maximumListCount) values", Tag(attribute))
        }
        let uids = values.filter { !$0.isEmpty }
        guard uids.allSatisfy({ UIDText.isValid($0) }) else {
            throw .identifier("\(attribute.keyword) must be UIDs, without wildcards", Tag(attribute))
        }
        return uids.count == 1 ? .single(uids[0]) : .anyOf(uids)
    }

    /// The most UIDs of one key.
    static let maximumListCount = 10_000

    /// No value, or nothing but stars: matches everything, also where wildcards are not allowed.
    private static func isUniversal(_ values: [String]) -> Bool {
        values.allSatisfy { value in value.utf8.allSatisfy { $0 == UInt8(ascii: "*") } }
    }

    private static func bounds(_ attribute: QIDOAttribute?, in identifier: DataSet) -> Bool {
        guard let attribute, let value = identifier.string(Tag(attribute)) else { return false }
        return value.contains("-")
    }
}

extension FindQuery.Key {
    fileprivate init(_ attribute: QIDOAttribute) {
        self.init(tag: Tag(attribute), vr: VR(attribute.vr) ?? .un, source: .catalog)
    }
}

extension Tag {
    init(_ attribute: QIDOAttribute) { self.init(rawValue: attribute.tag) }
}

extension QIDOAttribute {
    /// Whether the catalog's rows of a level have it.
    fileprivate func isKnown(at queryLevel: QueryRetrieveLevel) -> Bool {
        switch self {
        case .patientID, .issuerOfPatientID, .patientName, .patientBirthDate, .patientSex: return true
        case .modalitiesInStudy: return queryLevel >= .study
        case .numberOfStudyRelatedSeries, .numberOfStudyRelatedInstances: return queryLevel == .study
        case .numberOfSeriesRelatedInstances: return queryLevel == .series
        case .retrieveURL: return false
        default: break
        }
        return switch level {
        case .study: queryLevel >= .study
        case .series: queryLevel >= .series
        case .instance: queryLevel == .image
        }
    }

    /// The date that a time belongs to.
    fileprivate var date: QIDOAttribute? {
        switch self {
        case .studyTime: .studyDate
        case .seriesTime: .seriesDate
        default: nil
        }
    }
}
