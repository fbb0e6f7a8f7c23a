// SPDX-License-Identifier: Apache-2.0

/// Why a DICOMweb request is refused: what is wrong, and the HTTP status PS3.18 gives it.
///
/// Messages are shown to the client. They repeat the parameter's name, never a value that could be a patient's.
public struct DICOMWebError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of refusal; open for more, so match with a fallback.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: Hashable, Sendable {
            case badRequest, forbidden, notFound, methodNotAllowed, notAcceptable, contentTooLarge,
                unsupportedMediaType, rangeNotSatisfiable,
                unavailable
        }

        private let kind: Kind

        /// 400: the request can't be understood.
        public static let badRequest = Code(kind: .badRequest)
        /// 403: the request is understood and refused.
        public static let forbidden = Code(kind: .forbidden)
        /// 404: no resource has this path.
        public static let notFound = Code(kind: .notFound)
        /// 405: the resource has no such method.
        public static let methodNotAllowed = Code(kind: .methodNotAllowed)
        /// 406: nothing the client accepts can be delivered.
        public static let notAcceptable = Code(kind: .notAcceptable)
        /// 413: a limit on the request was reached.
        public static let contentTooLarge = Code(kind: .contentTooLarge)
        /// 415: the request's body is of a kind that is not taken.
        public static let unsupportedMediaType = Code(kind: .unsupportedMediaType)

        /// 416: nothing of the range that was asked for is there.
        public static let rangeNotSatisfiable = Code(kind: .rangeNotSatisfiable)
        /// 503: there is no room for it now.
        public static let unavailable = Code(kind: .unavailable)

        /// The HTTP status.
        public var status: Int {
            switch kind {
            case .badRequest: 400
            case .forbidden: 403
            case .notFound: 404
            case .methodNotAllowed: 405
            case .notAcceptable: 406
            case .contentTooLarge: 413
            case .unsupportedMediaType: 415
            case .rangeNotSatisfiable: 416
            case .unavailable: 503
            }
        }

        public var description: String {
            switch kind {
            case .badRequest: "bad request"
            case .forbidden: "forbidden"
            case .notFound: "not found"
            case .methodNotAllowed: "method not allowed"
            case .notAcceptable: "not acceptable"
            case .contentTooLarge: "content too large"
            case .unsupportedMediaType: "unsupported media type"
            case .rangeNotSatisfiable: "range not satisfiable"
            case .unavailable: "unavailable"
            }
        }
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The HTTP status that goes with `code`.
    public var status: Int { code.status }

    public var description: String { "\(code): \(message)" }
}
