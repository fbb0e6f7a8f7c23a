// SPDX-License-Identifier: Apache-2.0

import Catalog
import Hummingbird
import Logging

/// Adds rejection notes; what decides of them is a body of JSON, as for the trash.
func addRejectionRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    router.get("/api/v1/rejections") { request, _ in
        let parameters = request.uri.queryParameters
        let limit = parameters.get("limit", as: Int.self) ?? 100
        guard (1...10_000).contains(limit) else {
            return plainText("limit must be from 1 to 10000\n", status: .badRequest)
        }
        return await answer {
            try await service.catalog.rejectionNotes(all: parameters["all"] == "true", limit: limit)
                .map { RejectionReport($0) }
        }
    }
    for (verb, approves) in [("approve", true), ("dismiss", false)] {
        router.post("/api/v1/rejections/:id/\(verb)") { request, context in
            guard let id = Int64(try context.parameters.require("id")) else {
                return plainText("a rejection note has a number\n", status: .badRequest)
            }
            return await answer { () async throws -> [String: Int64]? in
                let body = try await readJSON(request, as: RejectionDecisionRequest.self, like: #"{"reason": "..."}"#)
                guard body.reason.contains(where: { !$0.isWhitespace }) else {
                    throw LifecycleRefusal(.malformed, "a reason must be given")
                }
                let client = "varve rejection \(verb) from \(context.clientName)"
                let isDone = try await service.catalog.decideRejectionNote(
                    id,
                    approves: approves,
                    reason: body.reason,
                    decidedBy: client
                )
                guard isDone else { return nil }
                service.logger.notice("a rejection note was decided", metadata: ["note": "\(id)", "by": "\(client)"])
                return [verb == "approve" ? "approved" : "dismissed": id]
            } ifNone: {
                approves
                    ? "there is no rejection note of that number that waits for an approval"
                    : "there is no rejection note of that number that is not dismissed"
            }
        }
    }
}
