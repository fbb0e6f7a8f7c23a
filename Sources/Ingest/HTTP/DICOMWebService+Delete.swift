// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Hummingbird

/// DELETE of a study, series or instance: no transaction of PS3.18, but what archives with DICOMweb commonly have.
extension DICOMWebService {
    /// The methods that are served, as `Allow` and the preflight of browsers say them.
    var methods: String {
        deleter == nil ? CrossOriginPolicy.methods : CrossOriginPolicy.methods + ", DELETE"
    }

    /// Answers a DELETE, errors included: 204 when there is nothing of it any more, 404 when there was nothing.
    func deleteResponse(to request: Request, client: String) async -> Response {
        do {
            guard let deleter else {
                return notAllowed(
                    "deleting by DICOMweb is off here; the ingest node's setting 'http.delete: trash' turns it on"
                )
            }
            let resource = try DICOMWebResource(path: request.uri.path.dropFirst(Self.path.utf8.count))
            guard case .item(let item, .whole) = resource else {
                return notAllowed("only a study, a series or an instance can be deleted")
            }
            guard try await deleter.delete(item, client: client) > 0 else {
                throw DICOMWebError(.notFound, "there is no such \(item.level)")
            }
            return Response(status: .noContent)
        } catch {
            return errorResponse(error)
        }
    }

    /// 405 with the methods that are served.
    func notAllowed(_ reason: String) -> Response {
        var response = errorResponse(DICOMWebError(.methodNotAllowed, reason))
        response.headers[.allow] = methods
        return response
    }
}

extension DICOMWebItem {
    fileprivate var level: String {
        if instance != nil { return "instance" }
        return series == nil ? "study" : "series"
    }
}
