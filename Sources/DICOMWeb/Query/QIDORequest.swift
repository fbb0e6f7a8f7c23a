// SPDX-License-Identifier: Apache-2.0

/// A search (QIDO-RS, PS3.18 §10.6), parsed: what to look for, where, and what to return of it.
public struct QIDORequest: Sendable, Hashable {
    public let level: QIDOLevel
    /// From the path: only within this study.
    public let study: String?
    /// From the path: only within this series.
    public let series: String?
    /// From the query, by tag, one for each attribute; a key without a value matches all, so it is not here.
    public let matches: [QIDOMatch]
    /// What the response holds of each result, by tag.
    public let returned: [QIDOAttribute]
    /// The most results, when the client says.
    public let limit: Int?
    /// How many results to skip.
    public let offset: Int
    /// Where to go on from: what a page before gave for the next (`Link`), as it is; nil to begin at the beginning.
    public let cursor: String?
    /// Whether names are to be matched fuzzily (PS3.18 §10.6.1.2, PS3.4 §C.2.2.2.1).
    public let isFuzzy: Bool
    /// The `accept` query parameter (PS3.18 §8.3.3.1), when there.
    public let acceptParameter: String?

    /// Reads a search.
    ///
    /// Unknown parameters, and attributes that can't be matched, are refused rather than ignored: a search that
    /// ignores a key gives other patients' studies.
    public init(
        level: QIDOLevel,
        study: String? = nil,
        series: String? = nil,
        query: QueryParameters,
        dictionary: AttributeDictionary
    ) throws(DICOMWebError) {
        var values: [QIDOAttribute: [String]] = [:]
        var asked: Set<QIDOAttribute> = []
        var returnsAll = false
        var isFuzzy = false
        var limit: Int?
        var offset = 0
        var cursor: String?
        var accept: String?
        for parameter in query.parameters {
            switch parameter.name {
            case "limit": limit = try Self.count(parameter)
            case "offset": offset = try Self.count(parameter)
            case Self.cursorName:
                guard cursor == nil else { throw DICOMWebError(.badRequest, "cursor is given more than once") }
                cursor = parameter.value
            case "fuzzymatching": isFuzzy = try Self.isTrue(parameter)
            case "includefield":
                let fields = try Self.includedFields(parameter, dictionary)
                asked.formUnion(fields.attributes)
                returnsAll = returnsAll || fields.isAll
            case "accept": accept = accept.map { "\($0),\(parameter.value)" } ?? parameter.value
            default:
                if let attribute = try Self.matchKey(parameter, level, dictionary) {
                    values[attribute, default: []].append(parameter.value)
                    asked.insert(attribute)
                }
            }
        }
        guard cursor == nil || offset == 0 else {
            throw DICOMWebError(.badRequest, "a cursor says where to go on from: leave offset out")
        }
        var matches: [QIDOMatch] = []
        for attribute in values.keys.sorted() {
            guard let condition = try QIDOCondition(values[attribute] ?? [], for: attribute) else { continue }
            matches.append(QIDOMatch(attribute, condition))
        }
        self.level = level
        self.study = study
        self.series = series
        self.matches = matches
        self.returned = Self.returned(level, study, series, asked: asked, all: returnsAll)
        self.limit = limit
        self.offset = offset
        self.cursor = cursor
        self.isFuzzy = isFuzzy
        self.acceptParameter = accept
    }

    /// The attribute that a parameter restricts; `nil` for one that never restricts anything.
    private static func matchKey(
        _ parameter: QueryParameters.Parameter,
        _ level: QIDOLevel,
        _ dictionary: AttributeDictionary
    ) throws(DICOMWebError) -> QIDOAttribute? {
        guard let found = dictionary.name(of: parameter.name) else {
            throw DICOMWebError(
                .badRequest,
                "\(quoted(parameter.name)) is neither an attribute (keyword or eight hexadecimal digits) nor a "
                    + "parameter of a search"
            )
        }
        switch found.name {
        // Timezone Offset From UTC is no key; it says how dates are meant (PS3.4 §C.4.1.1.3.1).
        case .other(0x0008_0201), .other(0x0008_0005): return nil
        case .other:
            // A key without a value asks for the attribute only, which the catalog does not hold.
            if parameter.value.isEmpty { return nil }
            throw DICOMWebError(.badRequest, "\(quoted(parameter.name)) can't be searched for in this archive")
        case .searchable(let attribute):
            if found.isNested {
                if parameter.value.isEmpty { return nil }
                throw DICOMWebError(.badRequest, "\(quoted(parameter.name)) can't be searched for in this archive")
            }
            guard attribute.isMatchable || parameter.value.isEmpty else {
                throw DICOMWebError(.badRequest, "\(attribute.keyword) can be returned but not searched for")
            }
            guard attribute.level <= level else {
                if parameter.value.isEmpty { return nil }
                throw DICOMWebError(
                    .badRequest,
                    "\(attribute.keyword) belongs to \(attribute.level == .series ? "series" : "instances"): search "
                        + "\(attribute.level == .series ? "/series" : "/instances") by it"
                )
            }
            return attribute
        }
    }

    private static func includedFields(
        _ parameter: QueryParameters.Parameter,
        _ dictionary: AttributeDictionary
    ) throws(DICOMWebError) -> (attributes: [QIDOAttribute], isAll: Bool) {
        var attributes: [QIDOAttribute] = []
        var isAll = false
        for field in parameter.value.split(separator: ",") {
            let field = String(field.trimmingBlanks())
            if field == "all" {
                isAll = true
                continue
            }
            guard let found = dictionary.name(of: field) else {
                throw DICOMWebError(.badRequest, "includefield \(quoted(field)) is not an attribute")
            }
            if case .searchable(let attribute) = found.name, !found.isNested { attributes.append(attribute) }
        }
        return (attributes, isAll)
    }

    /// What each result holds: the level's own attributes, those of the levels above that the path leaves open
    /// (PS3.18 §10.6.3.3), the keys, and what was asked for.
    private static func returned(
        _ level: QIDOLevel,
        _ study: String?,
        _ series: String?,
        asked: Set<QIDOAttribute>,
        all: Bool
    ) -> [QIDOAttribute] {
        QIDOAttribute.allCases.filter { attribute in
            guard attribute.level <= level else { return false }
            switch attribute {
            case .retrieveURL, .instanceAvailability, .studyInstanceUID: return true
            case .seriesInstanceUID: return level >= .series
            default: break
            }
            if asked.contains(attribute) || all { return true }
            let isLeftOpen =
                switch attribute.level {
                case .study: level == .study || study == nil
                case .series: level == .series || series == nil
                case .instance: true
                }
            return isLeftOpen && attribute.isReturnedByDefault
        }.sorted()
    }

    private static func count(_ parameter: QueryParameters.Parameter) throws(DICOMWebError) -> Int {
        let digits = parameter.value.utf8
        let isNumber = digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard !digits.isEmpty, isNumber, let count = Int32(parameter.value) else {
            throw DICOMWebError(
                .badRequest,
                "\(parameter.name) must be a whole number, at least 0 and at most \(Int32.max)"
            )
        }
        return Int(count)
    }

    private static func isTrue(_ parameter: QueryParameters.Parameter) throws(DICOMWebError) -> Bool {
        switch parameter.value {
        case "false": return false
        case "true": return true
        default: throw DICOMWebError(.badRequest, "\(parameter.name) must be true or false")
        }
    }

    /// A parameter's name for a message: short, and only characters that keywords are made of.
    private static func quoted(_ name: String) -> String {
        let safe = name.prefix(64).map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") ? $0 : "?" }
        return "'\(String(safe))'"
    }
}

extension QIDORequest {
    /// Reads a search from its resource and its query; 404 when the resource is no collection.
    public init(
        resource: DICOMWebResource,
        query: QueryParameters,
        dictionary: AttributeDictionary
    ) throws(DICOMWebError) {
        guard case .collection(let level, let study, let series) = resource else {
            throw DICOMWebError(.notFound, "only studies, series and instances can be searched")
        }
        try self.init(level: level, study: study, series: series, query: query, dictionary: dictionary)
    }
}
