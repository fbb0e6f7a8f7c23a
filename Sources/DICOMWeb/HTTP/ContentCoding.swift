// SPDX-License-Identifier: Apache-2.0

/// What a client says of compressed bodies (RFC 9110 §12.5.3).
public enum ContentCoding {
    /// Whether the client would rather, or as well, have a body in gzip than as it is.
    ///
    /// `headers` are the values of `Accept-Encoding`; without any, bodies go out as they are. What is malformed counts
    /// as not said.
    public static func takesGzip(_ headers: [String]) -> Bool {
        var qualities: [String: Int] = [:]
        for element in headers.flatMap({ $0.split(separator: ",") }) {
            let parts = element.split(separator: ";")
            guard let name = parts.first?.trimmingBlanks().lowercased() else { continue }
            let weight = parts.dropFirst().lazy.map { $0.trimmingBlanks() }.first { $0.lowercased().hasPrefix("q=") }
            // An unreadable weight must not turn a refusal into a wish.
            qualities[name == "x-gzip" ? "gzip" : name] =
                weight.map { QualityValue.thousandths($0.dropFirst(2)) ?? 0 } ?? 1000
        }
        guard let gzip = qualities["gzip"] ?? qualities["*"], gzip > 0 else { return false }
        return gzip >= qualities["identity"] ?? 0
    }
}

/// `qvalue` of RFC 9110 §12.4.2.
enum QualityValue {
    /// In thousandths, 0 to 1000; nil when it is none.
    static func thousandths(_ text: some StringProtocol) -> Int? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let decimals = parts.count == 2 ? String(parts[1]) : ""
        guard parts.count <= 2, parts[0] == "0" || parts[0] == "1", decimals.utf8.count <= 3,
            decimals.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let fraction = Int((decimals + "000").prefix(3)), parts[0] == "0" || fraction == 0
        else { return nil }
        return parts[0] == "1" ? 1000 : fraction
    }
}
