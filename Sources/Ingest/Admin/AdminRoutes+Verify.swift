// SPDX-License-Identifier: Apache-2.0

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
}
