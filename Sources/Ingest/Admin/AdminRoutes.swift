// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Placement
import Telemetry

/// Adds liveness, readiness, metrics and the administration API (`/api/v1`).
func addAdminRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    addTrashRoutes(to: router, service: service)
    addVerifyRoute(to: router, service: service)
    addNodeRoutes(to: router, service: service)
    addWatchRoutes(to: router, service: service)
    addTierRoutes(to: router, service: service)
    addRecallRoutes(to: router, service: service)
    addGivingUpRoutes(to: router, service: service)
    addLifecycleRoutes(to: router, service: service)
    addHoldRoutes(to: router, service: service)
    addRejectionRoutes(to: router, service: service)
    router.get("/healthz") { _, _ in "ok\n" }
    router.get("/readyz") { _, _ in
        guard let reason = service.reasonNotReady() else { return plainText("ready\n") }
        return plainText("not ready: \(reason)\n", status: .serviceUnavailable)
    }
    router.get("/metrics") { _, _ in
        var response = plainText(service.metrics.text())
        response.headers[.contentType] = "text/plain; version=0.0.4; charset=utf-8"
        return response
    }
    router.get("/api/v1/status") { _, _ in
        try await json { () throws(CatalogError) in try await service.status() }
    }
    router.get("/api/v1/studies") { request, _ in
        let limit = request.uri.queryParameters.get("limit", as: Int.self) ?? 100
        guard (1...10_000).contains(limit) else {
            return plainText("limit must be from 1 to 10000\n", status: .badRequest)
        }
        return try await json { () throws(CatalogError) in try await service.studies(limit: limit) }
    }
    router.post("/api/v1/catalog/check") { request, _ in
        let parameters = request.uri.queryParameters
        guard let group = parameters.get("group", as: UInt16.self).flatMap({ PlacementGroup(rawValue: $0) }) else {
            return plainText("group must be from 0 to \(PlacementGroup.count - 1)\n", status: .badRequest)
        }
        let grace = parameters.get("grace", as: Int64.self) ?? CatalogComparison.graceSeconds
        guard (0...31_536_000).contains(grace) else {
            return plainText("grace must be from 0 to 31536000 seconds\n", status: .badRequest)
        }
        let adopts = parameters["adopt"] == "true"
        let report: CatalogCheckReport
        do throws(RetrieveFailure) {
            report = try await service.comparison.compare(group, adopts: adopts, graceSeconds: grace)
        } catch {
            return plainText("\(error.reason)\n", status: .serviceUnavailable)
        }
        return try json(report)
    }
    router.get("/api/v1/studies/:study") { request, context in
        let uid = try context.parameters.require("study")
        let verify = request.uri.queryParameters["verify"] == "true"
        return try await json { () throws(CatalogError) in try await service.study(uid, verify: verify) }
    }
}

/// The value as JSON; 404 when it is nil, 503 when the catalog is away.
func json<Value: Encodable>(_ value: () async throws(CatalogError) -> Value?) async throws -> Response {
    let result: Value?
    do throws(CatalogError) {
        result = try await value()
    } catch {
        return plainText("the catalog does not answer: \(error)\n", status: .serviceUnavailable)
    }
    guard let result else { return plainText("there is no such study\n", status: .notFound) }
    return try json(result)
}

func json(_ result: some Encodable) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let body = try encoder.encode(result) + Data("\n".utf8)
    return Response(
        status: .ok,
        headers: [.contentType: "application/json"],
        body: .init(byteBuffer: ByteBuffer(bytes: body))
    )
}

func plainText(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
        status: status,
        headers: [.contentType: "text/plain; charset=utf-8"],
        body: .init(byteBuffer: ByteBuffer(string: text))
    )
}
