// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOMWeb

/// Looks instances up and searches for them in the catalog.
struct CatalogDirectory: InstanceDirectory {
    let catalog: Catalog

    func instances(of item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance] {
        do throws(CatalogError) {
            guard let uid = item.instance else {
                return try await catalog.instances(study: item.study, series: item.series).map(StoredInstance.init)
            }
            // The path must be right as a whole: an instance under another study's name is not there.
            guard let row = try await catalog.instance(sopInstanceUID: uid), row.studyInstanceUID == item.study,
                row.seriesInstanceUID == item.series
            else { return [] }
            return [StoredInstance(row)]
        } catch {
            throw RetrieveFailure(error)
        }
    }

    func search(
        _ request: QIDORequest,
        after cursor: CatalogCursor?,
        limit: Int
    ) async throws(RetrieveFailure) -> SearchPage {
        // One more than wanted tells whether there are more.
        var query = CatalogQuery(request, limit: limit + 1)
        query.after = cursor
        do throws(CatalogError) {
            switch request.level {
            case .study:
                let page = try await catalog.studyPage(query)
                let cold = await coldStudies(page.rows)
                return SearchPage(page, limit) { SearchResult($0).available(cold.contains($0.studyInstanceUID)) }
            case .series:
                let page = try await catalog.seriesPage(query)
                let cold = await coldSeries(page.rows)
                return SearchPage(page, limit) { SearchResult($0).available(cold.contains($0.seriesInstanceUID)) }
            case .instance:
                let page = try await catalog.instancePage(query)
                let cold = await coldInstances(page.rows)
                return SearchPage(page, limit) { SearchResult($0).available(cold.contains($0.recordID)) }
            }
        } catch {
            throw RetrieveFailure(error)
        }
    }
}

extension SearchPage {
    /// The first `limit` of the rows found; another one behind them is there to say that there are more.
    fileprivate init<Row>(_ found: CatalogRows<Row>, _ limit: Int, _ result: (Row) -> SearchResult) {
        self.init(
            results: found.rows.prefix(limit).map(result),
            next: found.rows.count > limit ? found.cursors[limit - 1] : nil
        )
    }
}

extension StoredInstance {
    init(_ row: InstanceRow) {
        self.init(
            studyInstanceUID: row.studyInstanceUID,
            seriesInstanceUID: row.seriesInstanceUID,
            sopInstanceUID: row.sopInstanceUID,
            sopClassUID: row.instance.sopClassUID,
            recordID: row.recordID,
            nodes: row.nodes,
            contentDigest: row.contentDigest,
            receivedTransferSyntax: row.receivedTransferSyntax,
            storedTransferSyntax: row.storedTransferSyntax,
            receivedByteCount: row.receivedByteCount,
            storedByteCount: row.storedByteCount
        )
    }
}

extension RetrieveFailure {
    /// What the catalog's failure means for somebody who only reads.
    init(_ error: CatalogError) {
        switch error.code {
        case .invalid: self.init(.invalidQuery, error.message)
        case .overloaded: self.init(.overloaded, "the catalog has too much to do: \(error.message)")
        default: self.init(.unavailable, "the catalog does not answer: \(error.message)")
        }
    }
}

extension CatalogQuery {
    /// The keys of a search and of its path.
    init(_ request: QIDORequest, limit: Int) {
        var matches = request.matches.compactMap { CatalogMatch($0) }
        if let study = request.study { matches.append(CatalogMatch(.studyInstanceUID, .single(study))) }
        if let series = request.series { matches.append(CatalogMatch(.seriesInstanceUID, .single(series))) }
        self.init(matches: matches, limit: limit, offset: request.offset, isFuzzy: request.isFuzzy)
    }
}

extension CatalogMatch {
    /// Nil for what is returned only.
    init?(_ match: QIDOMatch) {
        guard let key = CatalogKey(match.attribute) else { return nil }
        self.init(key, Condition(match.condition))
    }
}

extension CatalogMatch.Condition {
    fileprivate init(_ condition: QIDOCondition) {
        switch condition {
        case .single(let value): self = .single(value)
        case .wildcard(let pattern): self = .wildcard(pattern)
        case .anyOf(let values): self = .list(values)
        case .range(let lower, let upper): self = .range(from: lower, to: upper)
        }
    }
}

extension CatalogKey {
    /// The key for an attribute; nil for what is returned only.
    fileprivate init?(_ attribute: QIDOAttribute) {
        switch attribute {
        case .patientID: self = .patientID
        case .issuerOfPatientID: self = .issuerOfPatientID
        case .patientName: self = .patientName
        case .patientBirthDate: self = .patientBirthDate
        case .patientSex: self = .patientSex
        case .studyInstanceUID: self = .studyInstanceUID
        case .studyDate: self = .studyDate
        case .studyTime: self = .studyTime
        case .accessionNumber: self = .accessionNumber
        case .studyID: self = .studyID
        case .studyDescription: self = .studyDescription
        case .referringPhysicianName: self = .referringPhysicianName
        case .modalitiesInStudy: self = .modalitiesInStudy
        case .seriesInstanceUID: self = .seriesInstanceUID
        case .modality: self = .modality
        case .seriesNumber: self = .seriesNumber
        case .seriesDescription: self = .seriesDescription
        case .bodyPartExamined: self = .bodyPartExamined
        case .stationName: self = .stationName
        case .laterality: self = .laterality
        case .seriesDate: self = .seriesDate
        case .seriesTime: self = .seriesTime
        case .institutionName: self = .institutionName
        case .sopInstanceUID: self = .sopInstanceUID
        case .sopClassUID: self = .sopClassUID
        case .instanceNumber: self = .instanceNumber
        case .instanceAvailability, .retrieveURL, .availableTransferSyntaxUID, .numberOfStudyRelatedSeries,
            .numberOfStudyRelatedInstances, .numberOfSeriesRelatedInstances, .numberOfFrames, .rows, .columns:
            return nil
        }
    }
}
