// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
package import Hummingbird
package import NIOCore

extension DICOMWebService {
    /// Answers any request below the service's path, errors included: the transaction, and around it what HTTP wants of
    /// all of them (compression, HEAD, CORS).
    ///
    /// `client` is where the request comes from, for the audit; `eventLoop` that of its connection.
    package func answer(
        _ request: Request,
        client: String = "",
        eventLoop: (any EventLoop)? = nil
    ) async -> Response {
        var response: Response
        switch request.method {
        case .get, .head:
            response = compressed(await self.response(to: request, eventLoop: eventLoop), for: request)
            if request.method == .head { response = Self.withoutBody(response) }
        case .post:
            response = await withTaskExecutorPreference(globalConcurrentExecutor) {
                compressed(await storeResponse(to: request), for: request)
            }
        case .options: response = compressed(optionsResponse(to: request), for: request)
        case .delete: response = await deleteResponse(to: request, client: client)
        default: response = notAllowed("this method is not served here")
        }
        addCrossOriginHeaders(to: &response.headers, for: request)
        return response
    }

    /// The response to HEAD: its headers say what those to GET do, of the length only what is known.
    private static func withoutBody(_ response: Response) -> Response {
        guard response.body.contentLength == nil else { return response.createHeadResponse() }
        // An empty body would be one of 0 bytes.
        return Response(
            status: response.status,
            headers: response.headers,
            body: ResponseBody { writer in try await BodyWriter(writer).finish() }
        )
    }

    /// JSON and XML in gzip where the client takes it; everything else is compressed already, or is pixels.
    private func compressed(_ response: Response, for request: Request) -> Response {
        let types = ["application/dicom+json", "application/json", CapabilitiesDescription.mediaType]
        guard let type = response.headers[.contentType], types.contains(type) else { return response }
        var response = response
        response.headers.addVary("Accept-Encoding")
        let isSmall = response.body.contentLength.map { $0 < Self.smallestCompressedByteCount } ?? false
        guard !isSmall, ContentCoding.takesGzip(request.headers[values: .acceptEncoding]) else { return response }
        response.headers[.contentEncoding] = "gzip"
        let body = response.body
        response.body = .leavingLoop { writer in
            try await body.write(GzipBodyWriter(base: BodyWriter(writer), encoder: try GzipEncoder()))
        }
        return response
    }

    /// Bodies of known length below this go out as they are: the saving would be a fraction of a packet.
    private static let smallestCompressedByteCount = 1024

    /// Retrieve Capabilities (PS3.18 §8.9) at the service's root, and the preflight of browsers everywhere.
    private func optionsResponse(to request: Request) -> Response {
        if let origin = request.headers.first(named: "Origin"),
            request.headers.first(named: "Access-Control-Request-Method") != nil, !crossOrigin.isOff
        {
            return preflight(from: origin)
        }
        let path = request.uri.path.dropFirst(Self.path.utf8.count)
        guard path.allSatisfy({ $0 == "/" }) else {
            return Response(status: .noContent, headers: [.allow: methods])
        }
        do {
            let exchange = try exchange(of: request)
            _ = try Negotiation.accepted(
                headers: exchange.accept,
                parameter: exchange.acceptParameter,
                offers: [.capabilities]
            )
            return Response(
                status: .ok,
                headers: [.contentType: CapabilitiesDescription.mediaType, .allow: methods],
                body: ResponseBody(
                    byteBuffer: ByteBuffer(
                        string: CapabilitiesDescription.wadl(base: exchange.root.url, deletes: deleter != nil)
                    )
                )
            )
        } catch {
            return errorResponse(error)
        }
    }

    private func preflight(from origin: String) -> Response {
        guard crossOrigin.allowedOrigin(for: origin) != nil else {
            return errorResponse(
                DICOMWebError(
                    .forbidden,
                    "pages of this origin may not read here; http.cors-origins lists those that may"
                )
            )
        }
        var headers: HTTPFields = [.accessControlMaxAge: "\(CrossOriginPolicy.maximumAgeSeconds)"]
        headers[.accessControlAllowMethods] = methods
        headers[.accessControlAllowHeaders] = CrossOriginPolicy.requestHeaders
        return Response(status: .noContent, headers: headers)
    }

    private func addCrossOriginHeaders(to headers: inout HTTPFields, for request: Request) {
        if crossOrigin.varies { headers.addVary("Origin") }
        guard let origin = request.headers.first(named: "Origin"),
            let allowed = crossOrigin.allowedOrigin(for: origin)
        else { return }
        headers[.accessControlAllowOrigin] = allowed
        headers[.accessControlExposeHeaders] = CrossOriginPolicy.responseHeaders
    }
}

extension DICOMWebService.Exchange {
    /// The headers of a representation that may be kept, but only used after asking whether it is still right: images of
    /// patients are for nobody else's cache.
    func cacheHeaders(_ tag: EntityTag, isJSON: Bool = false) -> HTTPFields {
        var headers: HTTPFields = [.eTag: "\(shown(tag, isJSON))", .cacheControl: "private, no-cache"]
        headers.addVary("Accept")
        if isJSON { headers.addVary("Accept-Encoding") }
        return headers
    }

    /// 304 when the client says that it has the representation with this tag.
    func notModified(_ tag: EntityTag, isJSON: Bool = false) -> Response? {
        guard shown(tag, isJSON).isNamed(in: ifNoneMatch) else { return nil }
        return Response(status: .notModified, headers: cacheHeaders(tag, isJSON: isJSON))
    }

    /// The tag of what goes out: JSON may go out in gzip.
    private func shown(_ tag: EntityTag, _ isJSON: Bool) -> EntityTag { isJSON && takesGzip ? tag.gzip : tag }
}

/// Compresses what is written to it.
private struct GzipBodyWriter: ResponseBodyWriter {
    let base: BodyWriter
    let encoder: GzipEncoder

    mutating func write(_ buffer: ByteBuffer) async throws {
        let ready = encoder.append(buffer)
        if !ready.isEmpty { try await base.write(ready) }
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
        try await base.write(encoder.finish())
        // No body here has trailers.
        try await base.finish()
    }
}

extension HTTPFields {
    /// Adds a header's name to `Vary`, once.
    mutating func addVary(_ name: String) {
        let names = self[.vary].map { $0.split(separator: ",").map { $0.filter { $0 != " " } } } ?? []
        if !names.contains(name) { self[.vary] = (names + [name]).joined(separator: ", ") }
    }
}
