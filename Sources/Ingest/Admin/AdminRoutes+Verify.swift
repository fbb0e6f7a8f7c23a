// SPDX-License-Identifier: Apache-2.0

import Catalog
import Hummingbird
import Placement

/// Adds `POST /api/v1/verify`: a page of one placement group, compared and, with `deep=true`, read.
func addVerifyRoute(to router: Router<IngestRequestContext>, service: AdminService) {
    router.post("/api/v1/verify") { request, _ in
        let parameters = request.uri.queryParameters
        guard let group = parameters.get("group", as: UInt16.self).flatMap({ PlacementGroup(rawValue: $0) }) else {
            return plainText("group must be from 0 to \(PlacementGroup.count - 1)\n", status: .badRequest)
        }
        let grace = parameters.get("grace", as: Int64.self) ?? CatalogComparison.graceSeconds
        guard (0...31_536_000).contains(grace) else {
            return plainText("grace must be from 0 to 31536000 seconds\n", status: .badRequest)
        }
        var after: RecordID?
        if let text = parameters["after"] {
            after = RecordID(text)
            guard after?.group == group else {
                return plainText("after must be a record of group \(group)\n", status: .badRequest)
            }
        }
        let report: VerificationReport
        do throws(RetrieveFailure) {
            report = try await service.verification.page(
                of: group,
                after: after,
                isDeep: parameters["deep"] == "true",
                graceSeconds: grace
            )
        } catch {
            return plainText("\(error.reason)\n", status: .serviceUnavailable)
        }
        return try json(report)
    }
    addPackVerificationRoutes(to: router, service: service)
}

/// Adds `POST /api/v1/verify/packs`, which has packs read whole, and what asks how far that is.
private func addPackVerificationRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    let packs = PackVerification(catalog: service.catalog)
    router.post("/api/v1/verify/packs") { request, _ in
        guard let range = packRange(request) else { return badPackRange() }
        return try await json { () throws(CatalogError) in try await packs.begin(from: range.group) }
    }
    router.get("/api/v1/verify/packs") { request, _ in
        guard let range = packRange(request), let since = range.since else { return badPackRange() }
        return try await json { () throws(CatalogError) in try await packs.progress(since: since, from: range.group) }
    }
    router.get("/api/v1/verify/packs/findings") { request, _ in
        guard let range = packRange(request), let since = range.since else { return badPackRange() }
        let after: NodeID?
        if let text = request.uri.queryParameters["after"] {
            guard let pack = NodeID(String(text)) else {
                return plainText("after must be the id of a pack\n", status: .badRequest)
            }
            after = pack
        } else {
            after = nil
        }
        return try await json { () throws(CatalogError) in
            try await packs.findings(since: since, from: range.group, after: after)
        }
    }
}

private func badPackRange() -> Response {
    plainText("from must be from 0 to \(PlacementGroup.count - 1), and since as POST has said\n", status: .badRequest)
}

/// The first group, 0 when none is given, and since when the readings were wanted.
private func packRange(_ request: Request) -> (group: PlacementGroup, since: Int64?)? {
    let parameters = request.uri.queryParameters
    guard let group = PlacementGroup(rawValue: parameters.get("from", as: UInt16.self) ?? 0) else { return nil }
    return (group, parameters.get("since", as: Int64.self))
}
