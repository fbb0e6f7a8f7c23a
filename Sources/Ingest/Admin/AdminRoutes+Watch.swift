// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Adds what operators see of samples that are fetched again, and how they say that they know of an alarm.
///
/// As for the trash, no page of another origin can say so through somebody's browser: for a body of JSON it asks first, and is
/// not allowed to.
func addWatchRoutes(to router: Router<IngestRequestContext>, service: AdminService) {
    router.get("/api/v1/watch") { request, _ in
        let limit = request.uri.queryParameters.get("limit", as: Int.self) ?? 100
        guard (1...10_000).contains(limit) else {
            return plainText("limit must be from 1 to 10000\n", status: .badRequest)
        }
        return try await json { () throws(CatalogError) in try await service.watchReport(limit: limit) }
    }
    router.post("/api/v1/watch/acknowledge") { request, context in
        guard request.headers[.contentType].map({ $0.hasPrefix("application/json") }) ?? false else {
            return plainText("the body must be application/json\n", status: .unsupportedMediaType)
        }
        var request = request
        guard let bytes = try? await request.collectBody(upTo: 16_384),
            let body = try? JSONDecoder().decode(WatchAcknowledgement.self, from: Data(bytes.readableBytesView)),
            body.reason.contains(where: { !$0.isWhitespace })
        else {
            // Whatever is wrong with it, this is what it has to be.
            return plainText(
                "the body must be like {\"study\": \"1.2.3\", \"reason\": \"...\"}; without study: all\n",
                status: .badRequest
            )
        }
        let client = context.clientName
        return try await json { () throws(CatalogError) in
            let count = try await service.catalog.acknowledgeAlarms(study: body.study, by: client, reason: body.reason)
            // The reason may name a patient: it is kept in the catalog.
            service.logger.notice(
                "alarms about accepted instances were acknowledged",
                metadata: ["count": "\(count)", "client": "\(client)"]
            )
            return ["acknowledged": count]
        }
    }
}
