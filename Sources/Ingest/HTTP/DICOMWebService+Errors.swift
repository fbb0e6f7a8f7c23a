// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Hummingbird
import Logging

extension DICOMWebService {
    /// A refusal as JSON: the status, and what is wrong and what to do in words.
    func errorResponse(_ error: any Error) -> Response {
        let status: HTTPResponse.Status
        let message: String
        var headers: HTTPFields = [.contentType: "application/json"]
        switch error {
        case let error as DICOMWebError:
            status = HTTPResponse.Status(code: error.status)
            message = error.message
        case let error as RetrieveFailure:
            status = error.kind.status
            message = error.reason
            // RFC 9110 §10.2.3.
            if status == .serviceUnavailable { headers[.retryAfter] = String(error.retryAfterSeconds ?? 5) }
        default:
            status = .internalServerError
            message = "the request could not be answered"
        }
        if status.kind == .serverError {
            logger.warning("a DICOMweb request failed", metadata: ["status": "\(status.code)", "reason": "\(error)"])
        } else {
            logger.debug(
                "a DICOMweb request was refused",
                metadata: ["status": "\(status.code)", "reason": "\(message)"]
            )
        }
        var body = ByteBuffer()
        body.writeString("{\"status\":\(status.code),\"message\":")
        JSONText.write(message, into: &body)
        body.writeString("}\n")
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: body))
    }
}

extension RetrieveFailure.Kind {
    /// PS3.18 §8.5.
    fileprivate var status: HTTPResponse.Status {
        switch self {
        case .notFound: .notFound
        case .invalidQuery: .badRequest
        case .notAcceptable: .notAcceptable
        case .unavailable, .offline, .overloaded: .serviceUnavailable
        case .held: .conflict
        case .damaged: .internalServerError
        }
    }
}

extension HTTPFields {
    /// Adds `Warning: 299` with a text (RFC 7234 §5.5); PS3.18 uses it though HTTP has retired it.
    mutating func addWarning(_ text: String) {
        guard let name = Element.Name("Warning") else { return }
        append(Element(name: name, value: "299 varve \"\(text)\""))
    }

    /// Adds `Link: <URL>; rel="next"` (RFC 8288 §3), the URL being percent-encoded.
    mutating func addNextLink(_ url: String) {
        guard let name = Element.Name("Link") else { return }
        append(Element(name: name, value: "<\(url)>; rel=\"next\""))
    }

    /// The first value of a header by its name.
    func first(named name: String) -> String? {
        Element.Name(name).flatMap { self[values: $0].first }
    }
}
