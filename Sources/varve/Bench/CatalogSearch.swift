// SPDX-License-Identifier: Apache-2.0

import Catalog

/// A kind of search that `varve bench catalog` times: each number asks for something else.
struct CatalogSearch: Sendable {
    let name: String
    /// Asks, and returns how many rows came.
    let run: @Sendable (Catalog, _ number: Int) async throws -> Int

    /// The searches of an archive with `studyCount` studies.
    static func all(studyCount: Int) -> [CatalogSearch] {
        let some = { @Sendable (number: Int) in SyntheticArchive.scrambled(number + 1, below: studyCount) }
        return [
            studies("study by patient id") { number in
                CatalogMatch(.patientID, .single(SyntheticArchive.patientID(ofStudy: some(number))))
            },
            studies("study by name prefix") { number in
                CatalogMatch(
                    .patientName,
                    .wildcard("\(SyntheticArchive.familyName(ofStudy: some(number)).prefix(5))*")
                )
            },
            studies("study by accession number") { number in
                CatalogMatch(.accessionNumber, .single(SyntheticArchive.accessionNumber(some(number))))
            },
            studies("study by date range (3 days)") { number in
                let day = SyntheticArchive.date(some(number))
                guard let first = Int(day) else { preconditionFailure("\(day) is no date") }
                return CatalogMatch(.studyDate, .range(from: day, to: "\(min(first + 2, first / 100 * 100 + 28))"))
            },
            studies("newest studies, no condition") { _ in nil },
            CatalogSearch(name: "series of a study") { catalog, number in
                let uid = SyntheticArchive.studyUID(some(number))
                return try await catalog.series(
                    CatalogQuery(matches: [CatalogMatch(.studyInstanceUID, .single(uid))])
                ).count
            },
            CatalogSearch(name: "instances of a series") { catalog, number in
                let study = SyntheticArchive.studyUID(some(number))
                return try await catalog.instances(
                    CatalogQuery(matches: [
                        CatalogMatch(.studyInstanceUID, .single(study)),
                        CatalogMatch(.seriesInstanceUID, .single("\(study).1")),
                    ])
                ).count
            },
            CatalogSearch(name: "instance by uid") { catalog, number in
                let uid = "\(SyntheticArchive.studyUID(some(number))).1.\(1000 + number % 50)"
                return try await catalog.instance(sopInstanceUID: uid) == nil ? 0 : 1
            },
        ]
    }

    private static func studies(
        _ name: String,
        _ match: @escaping @Sendable (Int) -> CatalogMatch?
    ) -> CatalogSearch {
        CatalogSearch(name: name) { catalog, number in
            try await catalog.studies(CatalogQuery(matches: match(number).map { [$0] } ?? [], limit: 100)).count
        }
    }
}
