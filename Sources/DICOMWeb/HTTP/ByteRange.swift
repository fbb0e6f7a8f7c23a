// SPDX-License-Identifier: Apache-2.0

/// What a `Range` header asks of a representation whose length is known (RFC 9110 §14).
public enum ByteRange: Sendable, Hashable {
    /// All of it: nothing was asked, or something that is not served, which RFC 9110 §14.2 has a server ignore.
    ///
    /// Several ranges are among that: the parts of a representation here lie far apart seldom enough.
    case whole
    case part(Range<Int>)
    /// Nothing of what was asked for is there (416).
    case unsatisfiable

    /// `header` is the value of `Range`, if any.
    public init(_ header: String?, byteCount: Int) {
        self = .whole
        guard let header, let equals = header.firstIndex(of: "="),
            header[..<equals].trimmingBlanks().lowercased() == "bytes"
        else { return }
        let spec = header[header.index(after: equals)...].trimmingBlanks()
        guard let hyphen = spec.firstIndex(of: "-") else { return }
        let first = spec[..<hyphen]
        let last = spec[spec.index(after: hyphen)...]
        if first.isEmpty {
            guard let suffix = Self.number(last) else { return }
            self = suffix > 0 && byteCount > 0 ? .part(max(0, byteCount - suffix)..<byteCount) : .unsatisfiable
            return
        }
        guard let lower = Self.number(first) else { return }
        var upper = Int.max
        if !last.isEmpty {
            guard let number = Self.number(last), number >= lower else { return }
            upper = number
        }
        self = lower < byteCount ? .part(lower..<min(upper, byteCount - 1) + 1) : .unsatisfiable
    }

    /// Digits only; what passes an `Int` is as good as the largest.
    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int(text) ?? .max
    }
}
