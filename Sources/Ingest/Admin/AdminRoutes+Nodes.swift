// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Placement

/// Adds what operators see of nodes and repair, and what they ask of the coordinator.
///
/// As for the trash, no page of another origin can give these orders through somebody's browser: for a body of JSON it asks
/// first, and is not allowed to.
func addNodeRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    router.get("/api/v1/nodes") { _, _ in
        try await json { () throws(CatalogError) in try await service.nodes() }
    }
    router.get("/api/v1/nodes/:node") { _, context in
        await found(try context.parameters.require("node"), service) { record in
            try json(try await service.node(record))
        }
    }
    router.get("/api/v1/nodes/:node/preview") { request, context in
        let kinds: [String: NodeOrder.Kind] = ["drain": .drain, "undrain": .undrain, "remove": .remove]
        guard let kind = request.uri.queryParameters.get("order").flatMap({ kinds[$0] }) else {
            return plainText("order must be drain, undrain or remove\n", status: .badRequest)
        }
        return await found(try context.parameters.require("node"), service) { record in
            try json(try await service.preview(kind, of: record))
        }
    }
    router.post("/api/v1/nodes/:node/:order") { request, context in
        let order = try context.parameters.require("order")
        let body: NodeOrderRequest
        switch await readOrder(request) {
        case .success(let read): body = read
        case .failure(let refusal): return refusal.response
        }
        let kind: NodeOrder.Kind
        switch order {
        case "drain": kind = .drain
        case "undrain": kind = .undrain
        case "remove": kind = .remove
        case "maintenance":
            guard let minutes = body.minutes, (0...10_080).contains(minutes) else {
                return plainText("minutes must be from 1 to 10080 (a week), or 0 to end it\n", status: .badRequest)
            }
            kind = minutes > 0 ? .maintenance : .endOfMaintenance
        default: return plainText("there is no such order\n", status: .notFound)
        }
        let client = context.clientName
        return await found(try context.parameters.require("node"), service) { record in
            // What is to move is told before it begins to.
            let isNews = body.minutes == nil && !(kind == .drain && record.service == .draining)
            // Whatever keeps it from being told does not keep the order from being given.
            let preview = isNews ? try? await service.preview(kind, of: record) : nil
            let decided = try await service.order(
                kind,
                record.member.id,
                seconds: Int64(body.minutes ?? 0) * 60,
                reason: body.reason,
                requestedBy: "varve node from \(client)"
            )
            guard let decided else { return plainText("the order is gone\n", status: .serviceUnavailable) }
            guard !decided.isRefused else { return plainText("\(decided.note)\n", status: .conflict) }
            return try json(NodeOrderReport(decided, preview: preview))
        }
    }
    router.get("/api/v1/repair") { _, _ in
        try await json { () throws(CatalogError) in RepairReport(try await service.catalog.repairOverview()) }
    }
    router.get("/api/v1/repair/stuck") { request, _ in
        let limit = request.uri.queryParameters.get("limit", as: Int.self) ?? 100
        guard (1...10_000).contains(limit) else {
            return plainText("limit must be from 1 to 10000\n", status: .badRequest)
        }
        return try await json { () throws(CatalogError) in
            try await service.catalog.stuckRepairs(limit: limit).map { StuckRepairReport($0) }
        }
    }
    router.post("/api/v1/repair/retry") { request, _ in
        if case .failure(let refusal) = await readOrder(request) { return refusal.response }
        return try await json { () throws(CatalogError) in ["retried": try await service.catalog.retryStuckRepairs()] }
    }
}

/// Answers about the node of a name or an id; 404 when there is none, 503 when the catalog is away.
private func found(
    _ text: String,
    _ service: AdminService,
    _ answer: (NodeRecord) async throws -> Response
) async -> Response {
    do {
        // The router hands the path on as it came.
        switch try await service.findNode(text.removingPercentEncoding ?? text) {
        case .found(let record): return try await answer(record)
        case .none: return plainText("there is no storage node \(text)\n", status: .notFound)
        case .several(let ids):
            return plainText(
                "several storage nodes have this name, say which by its id: \(ids.joined(separator: ", "))\n",
                status: .conflict
            )
        }
    } catch {
        return plainText("\(error)\n", status: .serviceUnavailable)
    }
}

/// Why an order is not taken.
private struct OrderRefusal: Error {
    let response: Response
}

private func readOrder(_ request: Request) async -> Result<NodeOrderRequest, OrderRefusal> {
    func refused(_ text: String, _ status: HTTPResponse.Status) -> Result<NodeOrderRequest, OrderRefusal> {
        .failure(OrderRefusal(response: plainText("\(text)\n", status: status)))
    }
    guard request.headers[.contentType].map({ $0.hasPrefix("application/json") }) ?? false else {
        return refused("the body must be application/json", .unsupportedMediaType)
    }
    var request = request
    guard let bytes = try? await request.collectBody(upTo: 16_384),
        let body = try? JSONDecoder().decode(NodeOrderRequest.self, from: Data(bytes.readableBytesView))
    else {
        // Whatever is wrong with it, this is what it has to be.
        return refused("the body must be like {\"reason\": \"...\"}", .badRequest)
    }
    guard body.reason.contains(where: { !$0.isWhitespace }) else {
        return refused("a reason must be given", .badRequest)
    }
    return .success(body)
}
