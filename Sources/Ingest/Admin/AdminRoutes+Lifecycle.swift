// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import HTTPTypes
import Hummingbird
import Lifecycle
import LifecycleFiles
import NIOCore

/// Bytes of a body with rules: as text in JSON they may take several times as much as in a file.
private let maximumRulesBodyByteCount = 4 * RuleFile.maximumByteCount

/// Adds what operators do with the rules by which the archive ages (docs/lifecycle.md).
///
/// As for the trash, no page of another origin can load rules through somebody's browser: for a body of JSON it asks first, and
/// is not allowed to.
func addLifecycleRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    let lifecycle = service.lifecycle
    router.get("/api/v1/lifecycle/rules") { request, _ in
        let version = request.uri.queryParameters.get("version", as: Int64.self)
        return await answer {
            try await lifecycle.rules(version: version)
        } ifNone: {
            LifecycleRefusal.noRules.reason
        }
    }
    router.post("/api/v1/lifecycle/rules") { request, context in
        await answer {
            let body = try await readJSON(request, as: LoadRequest.self, like: #"{"text": "...", "reason": "..."}"#)
            guard body.reason.contains(where: { !$0.isWhitespace }) else {
                throw LifecycleRefusal(.malformed, "a reason must be given")
            }
            return try await lifecycle.load(body, by: "varve lifecycle load from \(context.clientName)")
        }
    }
    router.post("/api/v1/lifecycle/plan") { request, _ in
        await answer {
            let body = try await readJSON(request, as: PlanRequest.self, like: #"{"text": "..."}, or {}"#)
            return try await lifecycle.plan(body)
        }
    }
    router.post("/api/v1/lifecycle/plan/studies") { request, _ in
        await answer {
            let body = try await readJSON(request, as: PlanRequest.self, like: #"{"text": "...", "list": 1000}"#)
            let limit = body.list ?? 1_000
            guard (1...LifecycleService.maximumListCount).contains(limit), body.after ?? 0 >= 0 else {
                throw LifecycleRefusal(
                    .malformed,
                    "'list' must be from 1 to \(LifecycleService.maximumListCount), and 'after' what an answer said"
                )
            }
            return try await lifecycle.list(body, limit: limit)
        }
    }
    router.get("/api/v1/lifecycle/status") { _, _ in
        await answer { try await lifecycle.actsStatus() }
    }
    router.get("/api/v1/lifecycle/pending") { request, _ in
        let limit = request.uri.queryParameters.get("limit", as: Int.self) ?? 100
        guard (1...LifecycleService.maximumListCount).contains(limit) else {
            return plainText("limit must be from 1 to \(LifecycleService.maximumListCount)\n", status: .badRequest)
        }
        return await answer { try await lifecycle.pending(limit: limit) }
    }
    router.post("/api/v1/lifecycle/acts") { request, context in
        await answer {
            let body = try await readJSON(
                request,
                as: LifecycleActRequest.self,
                like: #"{"action": "enable", "reason": "..."}; 'action' is enable, pause, resume or run"#
            )
            return try await lifecycle.act(
                body,
                by: "varve lifecycle \(body.action.rawValue) from \(context.clientName)"
            )
        }
    }
    router.get("/api/v1/lifecycle/studies/:study") { request, context in
        let version = request.uri.queryParameters.get("version", as: Int64.self)
        let study = try context.parameters.require("study")
        return await answer {
            try await lifecycle.explain(study, version: version)
        } ifNone: {
            "there is no such study"
        }
    }
}

/// Reads a body of JSON.
func readJSON<Value: Decodable>(_ request: Request, as type: Value.Type, like example: String) async throws -> Value {
    guard request.headers[.contentType].map({ $0.hasPrefix("application/json") }) ?? false else {
        throw LifecycleRefusal(.malformed, "the body must be application/json")
    }
    var request = request
    guard let bytes = try? await request.collectBody(upTo: maximumRulesBodyByteCount),
        let body = try? JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
    else {
        // Whatever is wrong with it, this is what it has to be.
        throw LifecycleRefusal(.malformed, "the body must be like \(example)")
    }
    return body
}

/// Answers with what was done; 404 for nil, 400 and 422 for what cannot be done as it was asked, 409 for what somebody
/// else was before with, 503 when it cannot be done now.
func answer<Value: Encodable>(
    _ perform: () async throws -> Value?,
    ifNone: () -> String = { "there is no such thing" }
) async -> Response {
    do {
        guard let done = try await perform() else { return plainText("\(ifNone())\n", status: .notFound) }
        return try json(done)
    } catch let refusal as LifecycleRefusal {
        return plainText("\(refusal.reason)\n", status: refusal.kind == .malformed ? .badRequest : .notFound)
    } catch let error as RuleSetError {
        return plainText("\(error)\n", status: .unprocessableContent)
    } catch let error as CatalogError {
        switch error.code {
        case .conflict, .held: return plainText("\(error.message)\n", status: .conflict)
        case .invalid: return plainText("\(error.message)\n", status: .badRequest)
        default: return plainText("the catalog does not answer: \(error)\n", status: .serviceUnavailable)
        }
    } catch {
        return plainText("\(error)\n", status: .serviceUnavailable)
    }
}
