// SPDX-License-Identifier: Apache-2.0

import Catalog
import Hummingbird

/// Adds the giving up of packs that others replace, with the caution of the other orders about tiers.
func addGivingUpRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    router.post("/api/v1/studies/:study/give-up") { request, context in
        let uid = try context.parameters.require("study")
        let form = "{\"tier\": \"...\", \"reason\": \"...\"}"
        let body: GivingUpRequest
        switch await readOrder(request, form, reason: \GivingUpRequest.reason) {
        case .success(let read): body = read
        case .failure(let refusal): return refusal.response
        }
        let client = "varve study give-up from \(context.clientName)"
        let result: Result<GivingUpReport, TierRefusal>
        do throws(CatalogError) {
            result = try await service.giveUp(uid, body, requestedBy: client)
        } catch {
            return plainText("the catalog does not answer: \(error)\n", status: .serviceUnavailable)
        }
        switch result {
        case .success(let report): return try json(report)
        case .failure(let refusal):
            return plainText("\(refusal.message)\n", status: refusal.isConflict ? .conflict : .notFound)
        }
    }
}
