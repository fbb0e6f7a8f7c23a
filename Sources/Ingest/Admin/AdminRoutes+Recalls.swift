// SPDX-License-Identifier: Apache-2.0

import Catalog
import Hummingbird

/// Adds recalls of studies from packs, with the caution of the other orders about tiers.
func addRecallRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    let form = "{\"reason\": \"...\"}"
    router.get("/api/v1/recalls") { _, _ in
        try await json { () throws(CatalogError) in try await service.openRecalls() }
    }
    router.post("/api/v1/studies/:study/recall") { request, context in
        let uid = try context.parameters.require("study")
        let body: RecallOrderRequest
        switch await readOrder(request, form, reason: \RecallOrderRequest.reason) {
        case .success(let read): body = read
        case .failure(let refusal): return refusal.response
        }
        let client = "varve study recall from \(context.clientName)"
        let result: Result<RecallReport, TierRefusal>
        do throws(CatalogError) {
            result = try await service.recall(uid, reason: body.reason, requestedBy: client)
        } catch {
            return plainText("the catalog does not answer: \(error)\n", status: .serviceUnavailable)
        }
        switch result {
        case .success(let report): return try json(report)
        case .failure(let refusal):
            return plainText("\(refusal.message)\n", status: refusal.isConflict ? .conflict : .notFound)
        }
    }
    router.post("/api/v1/studies/:study/recall/cancel") { request, context in
        let uid = try context.parameters.require("study")
        let body: RecallOrderRequest
        switch await readOrder(request, form, reason: \RecallOrderRequest.reason) {
        case .success(let read): body = read
        case .failure(let refusal): return refusal.response
        }
        let client = "varve study recall from \(context.clientName)"
        let report: RecallReport?
        do throws(CatalogError) {
            report = try await service.cancelRecall(uid, reason: body.reason, requestedBy: client)
        } catch {
            return plainText("the catalog does not answer: \(error)\n", status: .serviceUnavailable)
        }
        guard let report else { return plainText("the study is not being recalled\n", status: .notFound) }
        return try json(report)
    }
}
