// SPDX-License-Identifier: Apache-2.0

import Catalog
import Hummingbird

/// Adds legal holds and tags; what changes them is a body of JSON, as for the trash.
func addHoldRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    let holds = HoldService(catalog: service.catalog, logger: service.logger)
    router.get("/api/v1/holds") { request, _ in
        let parameters = request.uri.queryParameters
        let limit = parameters.get("limit", as: Int.self) ?? 100
        guard (1...10_000).contains(limit) else {
            return plainText("limit must be from 1 to 10000\n", status: .badRequest)
        }
        return await answer {
            if let study = parameters["study"] {
                return try await service.catalog.holds(onStudy: String(study)).map { HoldReport($0) }
            }
            return try await service.catalog.holds(all: parameters["all"] == "true", limit: limit)
                .map { HoldReport($0) }
        }
    }
    router.post("/api/v1/holds") { request, context in
        await answer {
            let body = try await readJSON(
                request,
                as: HoldRequest.self,
                like: #"{"name": "...", "reason": "...", "study": "1.2.3"}"#
            )
            return try await holds.place(body, by: "varve study hold from \(context.clientName)")
        } ifNone: {
            "there is no such study here"
        }
    }
    router.post("/api/v1/holds/:number/release") { request, context in
        guard let number = Int64(try context.parameters.require("number")) else {
            return plainText("a hold has a number\n", status: .badRequest)
        }
        return await answer {
            let body = try await readJSON(request, as: HoldReleaseRequest.self, like: #"{"reason": "..."}"#)
            return try await holds.release(
                number,
                reason: body.reason,
                by: "varve study release from \(context.clientName)"
            )
        } ifNone: {
            "there is no hold of that number in force"
        }
    }
    router.post("/api/v1/studies/:study/tags") { request, context in
        let study = try context.parameters.require("study")
        return await answer {
            let body = try await readJSON(request, as: TagRequest.self, like: #"{"add": ["..."]}"#)
            return try await service.catalog.changeTags(
                ofStudy: study,
                adding: body.add ?? [],
                removing: body.remove ?? [],
                by: "varve study tag from \(context.clientName)"
            ).map { ["tags": $0] }
        } ifNone: {
            "there is no such study here"
        }
    }
}
