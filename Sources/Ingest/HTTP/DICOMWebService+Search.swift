// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Hummingbird

extension DICOMWebService {
    /// QIDO-RS (PS3.18 §10.6).
    func search(_ resource: DICOMWebResource, _ exchange: Exchange) async throws -> Response {
        let request = try QIDORequest(resource: resource, query: exchange.query, dictionary: Self.dictionary)
        _ = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: [.dicomJSON]
        )
        let limit = min(request.limit ?? Self.maximumResultCount, Self.maximumResultCount)
        let cursor = try request.cursor.map { text throws(DICOMWebError) in try SearchCursor(text, of: request).cursor }
        var results: [SearchResult] = []
        var headers: HTTPFields = [.contentType: "application/dicom+json"]
        if limit > 0 {
            let page = try await retrieve.directory.search(request, after: cursor, limit: limit)
            results = page.results
            if let next = page.next {
                // The wording of PS3.18 §10.6.3.2, without the number, which nobody counts.
                headers.addWarning("There are additional results that can be requested")
                let text = SearchCursor(next).text(of: request)
                headers.addNextLink(request.nextURL(cursor: text, query: exchange.query, root: exchange.root))
            }
        }
        guard !results.isEmpty else {
            headers[.contentType] = nil
            return Response(status: .noContent, headers: headers)
        }
        var writer = DICOMJSONWriter(capacity: results.count * 1024)
        for result in results { Self.write(result, request, exchange.root, into: &writer) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: writer.finish()))
    }

    private static func write(
        _ result: SearchResult,
        _ request: QIDORequest,
        _ root: ServiceRoot,
        into writer: inout DICOMJSONWriter
    ) {
        writer.beginDataSet()
        for attribute in request.returned {
            switch attribute {
            case .retrieveURL:
                let url = root.url(study: result.study, series: result.series, instance: result.instance)
                writer.attribute(attribute, .strings([url]))
            case .instanceAvailability:
                let value = result.attributes[attribute] ?? .strings([InstanceAvailability.online])
                writer.attribute(attribute, value)
            default:
                writer.attribute(attribute, result.attributes[attribute] ?? .empty)
            }
        }
        writer.endDataSet()
    }
}
