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
    router.get("/api/v1/moves") { _, _ in
        try await json { () throws(CatalogError) in try await service.openMoves() }
    }
    router.get("/api/v1/removals") { _, _ in
        try await json { () throws(CatalogError) in try await service.packRemovals() }
    }
    router.post("/api/v1/studies/:study/move") { request, context in
        let uid = try context.parameters.require("study")
        let form = "{\"tier\": \"...\", \"keepHot\": false, \"soakSeconds\": 604800, \"reason\": \"...\"}"
        let body: MoveRequest
        switch await readOrder(request, form, reason: \MoveRequest.reason) {
        case .success(let read): body = read
        case .failure(let refusal): return refusal.response
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
    router.post("/api/v1/studies/:study/move/cancel") { request, context in
        let uid = try context.parameters.require("study")
        let body: MoveCancellation
        switch await readOrder(request, "{\"reason\": \"...\"}", reason: \MoveCancellation.reason) {
        case .success(let read): body = read
        case .failure(let refusal): return refusal.response
        }
        let client = "varve study move from \(context.clientName)"
        let report: MoveReport?
        do throws(CatalogError) {
            report = try await service.cancelMove(uid, reason: body.reason, requestedBy: client)
        } catch {
            return plainText("the catalog does not answer: \(error)\n", status: .serviceUnavailable)
        }
        guard let report else { return plainText("the study is not being moved\n", status: .notFound) }
        return try json(report)
    }
}

/// Why the body of an order is not taken.
struct BodyRefusal: Error {
    let response: Response
}

/// The body of an order, which has to be JSON and to say why it is given.
func readOrder<Body: Decodable>(
    _ request: Request,
    _ form: String,
    reason: KeyPath<Body, String>
) async -> Result<Body, BodyRefusal> {
    func refused(_ text: String, _ status: HTTPResponse.Status) -> Result<Body, BodyRefusal> {
        .failure(BodyRefusal(response: plainText("\(text)\n", status: status)))
    }
    guard request.headers[.contentType].map({ $0.hasPrefix("application/json") }) ?? false else {
        return refused("the body must be application/json", .unsupportedMediaType)
    }
    var request = request
    guard let bytes = try? await request.collectBody(upTo: 16_384),
        let body = try? JSONDecoder().decode(Body.self, from: Data(bytes.readableBytesView))
    else {
        // Whatever is wrong with it, this is what it has to be.
        return refused("the body must be like \(form)", .badRequest)
    }
    guard body[keyPath: reason].contains(where: { !$0.isWhitespace }) else {
        return refused("a reason must be given", .badRequest)
    }
    return .success(body)
}
