// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// Adds tiers, and what operators order about the tier of a study.
///
/// As for the trash, no page of another origin can give these orders through somebody's browser: for a body of JSON it asks
/// first, and is not allowed to.
func addTierRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    router.get("/api/v1/tiers") { _, _ in
        try await json { () throws(CatalogError) in try await service.tiers() }
    }
    router.post("/api/v1/studies/:study/move") { request, context in
        let uid = try context.parameters.require("study")
        guard request.headers[.contentType].map({ $0.hasPrefix("application/json") }) ?? false else {
            return plainText("the body must be application/json\n", status: .unsupportedMediaType)
        }
        var request = request
        guard let bytes = try? await request.collectBody(upTo: 16_384),
            let body = try? JSONDecoder().decode(MoveRequest.self, from: Data(bytes.readableBytesView))
        else {
            // Whatever is wrong with it, this is what it has to be.
            return plainText(
                "the body must be like {\"tier\": \"...\", \"keepHot\": false, \"soakSeconds\": 604800,"
                    + " \"reason\": \"...\"}\n",
                status: .badRequest
            )
        }
        guard body.reason.contains(where: { !$0.isWhitespace }) else {
            return plainText("a reason must be given\n", status: .badRequest)
        }
        guard (0...31_536_000).contains(body.soakSeconds) else {
            return plainText("soakSeconds must be from 0 to 31536000\n", status: .badRequest)
        }
        let result: Result<MoveReport, TierRefusal>
        do throws(CatalogError) {
            result = try await service.move(uid, body, requestedBy: "varve study move from \(context.clientName)")
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
