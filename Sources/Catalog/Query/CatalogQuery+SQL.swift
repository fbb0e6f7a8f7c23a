// SPDX-License-Identifier: Apache-2.0

extension QueryBuilder {
    /// Adds the conditions of a query about `level`, on `patients p`, `studies t`, `series e` and `instances i`.
    ///
    /// Throws `.invalid` for a key below the level, a value that is none, or too many of them.
    mutating func add(_ query: CatalogQuery, level: CatalogLevel) throws(CatalogError) {
        guard query.matches.count <= CatalogQuery.maximumMatchCount else {
            throw CatalogError(.invalid, "more than \(CatalogQuery.maximumMatchCount) attributes to match")
        }
        var combined: Set<CatalogKey> = []
        if query.combinesDateAndTime {
            for (date, time) in [(CatalogKey.studyDate, CatalogKey.studyTime), (.seriesDate, .seriesTime)] {
                if try addCombined(date, time, of: query, level: level) { combined.formUnion([date, time]) }
            }
        }
        for match in query.matches {
            guard match.key.level <= level else {
                throw CatalogError(.invalid, "\(match.key) is not an attribute of a \(level)")
            }
            if combined.contains(match.key) { continue }
            try add(match, isFuzzy: query.isFuzzy)
        }
    }

    /// Matches a date and its time together, if both are ranges.
    private mutating func addCombined(
        _ date: CatalogKey,
        _ time: CatalogKey,
        of query: CatalogQuery,
        level: CatalogLevel
    ) throws(CatalogError) -> Bool {
        guard date.level <= level,
            case .range(let firstDay, let lastDay)? = query.matches.first(where: { $0.key == date })?.condition,
            case .range(let from, let to)? = query.matches.first(where: { $0.key == time })?.condition
        else { return false }
        let table = date == .studyDate ? "t" : "e"
        try combined("\(table).date", (firstDay, lastDay), "\(table).time", (from, to))
        return true
    }

    private mutating func add(_ match: CatalogMatch, isFuzzy: Bool) throws(CatalogError) {
        let condition = match.condition
        switch match.key {
        case .patientID: try text("p.patient_id", condition)
        case .issuerOfPatientID: try text("p.issuer", condition)
        case .patientName:
            let groups = ["p.name_key", "p.ideographic_key", "p.phonetic_key"]
            try name(groups, words: isFuzzy ? "p.name_words" : nil, condition)
        case .patientBirthDate: try date("p.birth_date", condition)
        case .patientSex: try text("p.sex", condition)
        case .studyInstanceUID: try uid("t.uid", condition)
        case .studyDate: try date("t.date", condition)
        case .studyTime: try time("t.time", condition)
        case .accessionNumber: try text("t.accession", condition)
        case .studyID: try text("t.study_id", condition)
        case .studyDescription: try text("t.description", condition)
        case .referringPhysicianName:
            try name(["t.referring_key"], words: isFuzzy ? "t.referring_words" : nil, condition)
        case .modalitiesInStudy: try modalitiesInStudy(condition)
        case .seriesInstanceUID: try uid("e.uid", condition)
        case .modality: try text("e.modality", condition)
        case .seriesNumber: try number("e.number", condition)
        case .seriesDescription: try text("e.description", condition)
        case .bodyPartExamined: try text("e.body_part", condition)
        case .stationName: try text("e.station", condition)
        case .laterality: try text("e.laterality", condition)
        case .seriesDate: try date("e.date", condition)
        case .seriesTime: try time("e.time", condition)
        case .institutionName: try text("e.institution", condition)
        case .sopInstanceUID: try instanceUID(condition)
        case .sopClassUID: try sopClass(condition)
        case .instanceNumber: try number("i.number", condition)
        }
    }

    /// UIDs take no wildcards but the one that matches everything (PS3.4 C.2.2.2.2).
    private mutating func uid(_ column: String, _ condition: CatalogMatch.Condition) throws(CatalogError) {
        if case .wildcard(let value) = condition {
            if value == "*" { return }
            try text(column, .single(value))
        } else {
            try text(column, condition)
        }
    }

    /// By the index of `uid_key`, whose values are as good as the UIDs themselves; those are compared all the same.
    private mutating func instanceUID(_ condition: CatalogMatch.Condition) throws(CatalogError) {
        let count = values.count
        try uid("i.uid", condition)
        guard values.count > count else { return }
        let value = "$\(values.count)"
        if case .list = condition {
            add("uid_key(i.uid) = ANY (ARRAY(SELECT uid_key(u) FROM unnest(\(value)::text[]) u))")
        } else {
            add("uid_key(i.uid) = uid_key(\(value))")
        }
    }

    /// Any series of the study has such a modality.
    private mutating func modalitiesInStudy(_ condition: CatalogMatch.Condition) throws(CatalogError) {
        var inner = QueryBuilder(numberingAfter: self)
        try inner.text("m.modality", condition)
        guard let found = inner.conditions.first else { return }
        adopt(inner)
        add("EXISTS (SELECT FROM series m WHERE m.study = t.id AND \(found))")
    }

    private mutating func sopClass(_ condition: CatalogMatch.Condition) throws(CatalogError) {
        var inner = QueryBuilder(numberingAfter: self)
        try inner.uid("c.text", condition)
        guard let found = inner.conditions.first else { return }
        adopt(inner)
        add("i.sop_class IN (SELECT c.id FROM terms c WHERE \(found))")
    }
}
