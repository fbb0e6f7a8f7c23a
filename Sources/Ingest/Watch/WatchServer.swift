// SPDX-License-Identifier: Apache-2.0

/// An address of the archive's public interface: `http://HOST[:PORT]`.
public struct WatchServer: Sendable, Hashable, CustomStringConvertible {
    /// A name or an address, without brackets.
    public let host: String
    public let port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Nil for anything else: a path, HTTPS.
    public init?(_ text: String) {
        guard text.hasPrefix("http://") else { return nil }
        var rest = text.dropFirst(7)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.isEmpty, !rest.contains("/"), !rest.contains("@") else { return nil }
        var portText: Substring = "80"
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            let behind = rest[rest.index(after: end)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { return nil }
            if !behind.isEmpty { portText = behind.dropFirst() }
            rest = rest[rest.index(after: rest.startIndex)..<end]
        } else if let colon = rest.firstIndex(of: ":") {
            portText = rest[rest.index(after: colon)...]
            rest = rest[..<colon]
        }
        guard !rest.isEmpty, let port = Int(portText), (1...65_535).contains(port) else { return nil }
        self.init(host: String(rest), port: port)
    }

    /// One that listens at `host` (all addresses, perhaps), as this process reaches it.
    init(listeningAt host: String, port: Int) {
        switch host {
        case "0.0.0.0", "": self.init(host: "127.0.0.1", port: port)
        case "::": self.init(host: "::1", port: port)
        default: self.init(host: host, port: port)
        }
    }

    /// The value of `Host`.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    public var description: String { "http://\(authority)" }
}
