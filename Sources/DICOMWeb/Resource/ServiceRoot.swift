// SPDX-License-Identifier: Apache-2.0

/// The absolute URL of the DICOMweb service as the client sees it: the stem of every URL in a response.
///
/// Behind a proxy that is not the address this process listens on, so it is either configured or taken from what
/// the proxy says of the request (RFC 7239 `Forwarded`, or the older `X-Forwarded-*`).
public struct ServiceRoot: Sendable, Hashable {
    /// For example `https://archive.example.org/dicom-web`, without a slash at its end.
    public let url: String

    /// A configured URL.
    public init(url: String) {
        var text = url[...]
        while text.last == "/" { text.removeLast() }
        self.url = String(text)
    }

    /// What the request says of itself.
    ///
    /// `path` is the mount point in this process, for example `/dicom-web`; `authority` the `Host` header or
    /// `:authority`, when there is one; `isSecure` whether this process itself ended TLS; `header` gives the first
    /// value of a request header by its lowercase name.
    public init(path: String, authority: String?, isSecure: Bool = false, header: (String) -> String?) {
        var scheme = isSecure ? "https" : "http"
        var host = authority.flatMap(Self.validHost)
        var prefix = ""
        if let forwarded = header("forwarded") {
            for pair in firstElement(forwarded).split(separator: ";") {
                guard let equals = pair.firstIndex(of: "=") else { continue }
                let name = pair[..<equals].trimmingBlanks().lowercased()
                let value = pair[pair.index(after: equals)...].trimmingBlanks().unquoted()
                if name == "proto" { scheme = Self.validScheme(value) ?? scheme }
                if name == "host" { host = Self.validHost(value) ?? host }
            }
        } else {
            if let value = header("x-forwarded-proto") {
                scheme = Self.validScheme(String(firstElement(value))) ?? scheme
            }
            if let value = header("x-forwarded-host") { host = Self.validHost(String(firstElement(value))) ?? host }
        }
        if let value = header("x-forwarded-prefix") { prefix = Self.validPath(String(firstElement(value))) ?? "" }
        self.init(url: "\(scheme)://\(host ?? "localhost")\(prefix)\(path)")
    }

    /// The URL of a study, series or instance.
    public func url(study: String, series: String? = nil, instance: String? = nil) -> String {
        var text = "\(url)/studies/\(study)"
        if let series { text += "/series/\(series)" }
        if let instance { text += "/instances/\(instance)" }
        return text
    }

    private static func validScheme(_ text: String) -> String? {
        let lower = text.lowercased()
        return lower == "http" || lower == "https" ? lower : nil
    }

    /// Hosts come from the client and go into responses: letters, digits and `.-_:[]` only.
    private static func validHost(_ text: String) -> String? {
        let isValid =
            (1...255).contains(text.utf8.count)
            && text.utf8.allSatisfy { isAlphanumeric($0) || ".-_:[]".utf8.contains($0) }
        return isValid ? text : nil
    }

    private static func validPath(_ text: String) -> String? {
        let isValid =
            text.utf8.count <= 255 && text.utf8.first == UInt8(ascii: "/")
            && text.utf8.allSatisfy { isAlphanumeric($0) || "/.-_~".utf8.contains($0) }
        guard isValid else { return nil }
        return text.utf8.last == UInt8(ascii: "/") ? String(text.dropLast()) : text
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }
}

/// Several proxies append to a header; the first element is the one nearest to the client.
private func firstElement(_ value: String) -> Substring {
    value.prefix { $0 != "," }.trimmingBlanks()
}

extension Substring {
    func trimmingBlanks() -> Substring {
        var text = self
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }

    func unquoted() -> String {
        guard utf8.count >= 2, first == "\"", last == "\"" else { return String(self) }
        return String(dropFirst().dropLast())
    }
}
