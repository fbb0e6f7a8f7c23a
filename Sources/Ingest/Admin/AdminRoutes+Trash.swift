// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOMWeb
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// What DELETE of `/api/v1/studies/{uid}` and POST to `/api/v1/studies/{uid}/undelete` take.
public struct TrashRequest: Codable, Sendable {
    /// Why; kept for ever with the deletion.
    public var reason: String
    /// Undelete what this deletion took only.
    public var deletion: Int64?

    public init(reason: String, deletion: Int64? = nil) {
        self.reason = reason
        self.deletion = deletion
    }
}

/// Adds deleting and undeleting.
///
/// No page of another origin can call these through somebody's browser: for DELETE and for a body of JSON it asks first,
/// and is not allowed to.
func addTrashRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    router.get("/api/v1/trash") { request, _ in
        let parameters = request.uri.queryParameters
        let limit = parameters.get("limit", as: Int.self) ?? 100
        guard (1...10_000).contains(limit) else {
            return plainText("limit must be from 1 to 10000\n", status: .badRequest)
        }
        return try await json { () throws(CatalogError) in
            try await service.trash.catalog.deletions(all: parameters["all"] == "true", limit: limit)
                .map { DeletionReport($0) }
        }
    }
    router.delete("/api/v1/studies/:study") { request, context in
        let uid = try context.parameters.require("study")
        return await answer(request) { body in
            let count = try await service.trash.delete(
                .study(uid),
                reason: body.reason,
                requestedBy: "varve study delete from \(context.clientName)"
            )
            return count > 0 ? ["instances": count] : nil
        }
    }
    router.post("/api/v1/studies/:study/undelete") { request, context in
        let uid = try context.parameters.require("study")
        return await answer(request) { body in
            let count = try await service.trash.undelete(
                study: uid,
                deletion: body.deletion,
                reason: body.reason,
                requestedBy: "varve study undelete from \(context.clientName)"
            )
            return count > 0 ? ["deletions": count] : nil
        }
    }
}

/// Reads a request's body and answers with what was done; 404 for nil, 503 when it cannot be done now.
private func answer(
    _ request: Request,
    _ perform: (TrashRequest) async throws -> [String: Int]?
) async -> Response {
    guard request.headers[.contentType].map({ $0.hasPrefix("application/json") }) ?? false else {
        return plainText("the body must be application/json\n", status: .unsupportedMediaType)
    }
    var request = request
    guard let bytes = try? await request.collectBody(upTo: 16_384),
        let body = try? JSONDecoder().decode(TrashRequest.self, from: Data(bytes.readableBytesView))
    else {
        // Whatever is wrong with it, this is what it has to be.
        return plainText("the body must be like {\"reason\": \"...\"}\n", status: .badRequest)
    }
    guard body.reason.contains(where: { !$0.isWhitespace }) else {
        return plainText("a reason must be given\n", status: .badRequest)
    }
    do {
        guard let done = try await perform(body) else {
            return plainText("there is no such study here\n", status: .notFound)
        }
        return try json(done)
    } catch let error as RetrieveFailure {
        return plainText("\(error.reason)\n", status: error.kind == .held ? .conflict : .serviceUnavailable)
    } catch {
        return plainText("\(error)\n", status: .serviceUnavailable)
    }
}
