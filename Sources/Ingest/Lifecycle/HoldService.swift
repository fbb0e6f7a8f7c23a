// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOMWeb
import Logging

/// Places and releases legal holds.
struct HoldService: Sendable {
    let catalog: Catalog
    let logger: Logger

    /// Studies of one page of a search.
    private static let pageCount = 5_000

    /// Places a hold; nil when what it names is not here.
    func place(_ request: HoldRequest, by client: String) async throws -> HoldReport? {
        guard [request.name, request.reason].allSatisfy({ $0.contains { !$0.isWhitespace } }) else {
            throw LifecycleRefusal(.malformed, "a name and a reason must be given")
        }
        let subject: HoldSubject
        switch (request.study, request.patientID, request.query) {
        case (let study?, nil, nil): subject = .studies([study], query: "")
        case (nil, let patient?, nil): subject = .patient(id: patient, issuer: request.issuer)
        case (nil, nil, let query?):
            let found = try await studies(query)
            guard !found.isEmpty else { return nil }
            subject = .studies(found, query: query)
        default: throw LifecycleRefusal(.malformed, "one of 'study', 'patientID' and 'query' must be given")
        }
        guard
            let number = try await catalog.placeHold(
                on: subject,
                name: request.name,
                reason: request.reason,
                placedBy: client
            )
        else { return nil }
        // Name and reason may name a patient: they are kept in the catalog.
        logger.notice("a legal hold was placed", metadata: ["hold": "\(number)", "by": "\(client)"])
        return try await catalog.hold(number).map { HoldReport($0) }
    }

    /// Releases a hold; nil when none of that number is in force.
    func release(_ number: Int64, reason: String, by client: String) async throws -> [String: Int64]? {
        guard reason.contains(where: { !$0.isWhitespace }) else {
            throw LifecycleRefusal(.malformed, "a reason must be given")
        }
        guard try await catalog.releaseHold(number, reason: reason, releasedBy: client) else { return nil }
        logger.notice("a legal hold was released", metadata: ["hold": "\(number)", "by": "\(client)"])
        return ["released": number]
    }

    /// The studies that a search finds, all of them.
    private func studies(_ text: String) async throws -> [String] {
        let request: QIDORequest
        do throws(DICOMWebError) {
            request = try QIDORequest(
                level: .study,
                query: QueryParameters(query: text),
                dictionary: DICOMWebService.dictionary
            )
        } catch {
            throw LifecycleRefusal(.malformed, "the query is not one of QIDO-RS: \(error.message)")
        }
        guard !request.matches.isEmpty else {
            throw LifecycleRefusal(.malformed, "the query matches no key, and would hold every study")
        }
        var query = CatalogQuery(request, limit: Self.pageCount)
        query.offset = 0
        var found: [String] = []
        while true {
            let page = try await catalog.studyPage(query)
            found += page.rows.map(\.study.studyInstanceUID)
            guard found.count <= Catalog.maximumHeldStudyCount else {
                throw LifecycleRefusal(
                    .malformed,
                    "the query finds more than \(Catalog.maximumHeldStudyCount) studies, which one hold may have: "
                        + "place several"
                )
            }
            guard page.rows.count == Self.pageCount, let last = page.cursors.last else { return found }
            query.after = last
        }
    }
}
