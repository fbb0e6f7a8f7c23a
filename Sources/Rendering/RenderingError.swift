// SPDX-License-Identifier: Apache-2.0

/// Why an image can't be rendered.
public struct RenderingError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// What was asked for makes no sense for this image: a region outside of it.
        case invalidRequest
        /// The image is of a kind that is not rendered here, or its description can't be understood.
        case unsupported
        /// The bytes are not what the description says.
        case damaged
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
