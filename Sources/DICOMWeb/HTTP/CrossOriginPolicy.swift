// SPDX-License-Identifier: Apache-2.0

/// Which pages of other origins a browser may let read the archive (CORS, Fetch Standard §3.3).
///
/// It protects nobody from programs that are no browsers: it says which pages may use what the user's network reaches.
/// Cookies and other credentials of the browser are never asked for.
public struct CrossOriginPolicy: Sendable, Hashable {
    /// The origins as they were configured, in lowercase.
    private let origins: Set<String>
    private let allowsAll: Bool

    /// `origins` are `scheme://host` or `scheme://host:port` each, or `*`; empty: pages of other origins may read nothing.
    public init(origins: [String] = []) {
        self.origins = Set(origins.map { $0.lowercased() })
        self.allowsAll = origins.contains("*")
    }

    /// Whether there is anything to say at all.
    public var isOff: Bool { origins.isEmpty }

    /// What `Access-Control-Allow-Origin` says to a page of this origin; nil when the page may not read.
    public func allowedOrigin(for origin: String) -> String? {
        if allowsAll { return "*" }
        return origins.contains(origin.lowercased()) ? origin : nil
    }

    /// Whether answers differ by origin, which caches have to know (`Vary: Origin`).
    public var varies: Bool { !isOff && !allowsAll }

    /// What is wrong with a configured origin, or nil.
    public static func problem(with origin: String) -> String? {
        if origin == "*" { return nil }
        let parts = origin.lowercased().split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "http:" || parts[0] == "https:", parts[1].isEmpty, !parts[2].isEmpty,
            parts[2].utf8.allSatisfy(isHost)
        else {
            return "it must be * or an origin without a path, like https://viewer.example.org or http://localhost:3000"
        }
        return nil
    }

    private static func isHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        default: ".-_:[]".utf8.contains(byte)
        }
    }

    /// Methods that pages may use.
    public static let methods = "GET, HEAD, POST, OPTIONS"
    /// Request headers that pages may set beyond those that they always may.
    public static let requestHeaders =
        "Accept, Accept-Encoding, Authorization, Cache-Control, Content-Type, If-None-Match, If-Range, Range"
    /// Response headers that pages may read beyond those that they always may.
    public static let responseHeaders =
        "Accept-Ranges, Content-Encoding, Content-Length, Content-Location, Content-Range, ETag, Link, Retry-After, Warning"
    /// Seconds for which a browser may remember the answer to a preflight.
    public static let maximumAgeSeconds = 600
}
