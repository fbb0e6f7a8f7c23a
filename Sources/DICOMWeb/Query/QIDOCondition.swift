// SPDX-License-Identifier: Apache-2.0

/// What a value must be to match (PS3.4 §C.2.2.2).
public enum QIDOCondition: Sendable, Hashable {
    /// The value itself, trimmed. Dates are `YYYYMMDD`, times as given, numbers in decimal.
    case single(String)
    /// `*` stands for any number of characters, `?` for one; every other character for itself.
    case wildcard(String)
    /// Any of these: UIDs, or codes such as modalities.
    case anyOf([String])
    /// From `lower` to `upper`, both included; at least one is there.
    case range(lower: String?, upper: String?)
}

/// One restriction of a search.
public struct QIDOMatch: Sendable, Hashable {
    public let attribute: QIDOAttribute
    public let condition: QIDOCondition

    public init(_ attribute: QIDOAttribute, _ condition: QIDOCondition) {
        self.attribute = attribute
        self.condition = condition
    }
}

extension QIDOCondition {
    /// The most values a list may have.
    public static let maximumListCount = 4096

    /// Reads the values given for one attribute, one for each time that its key came; `nil` when they match everything
    /// (empty, or only stars).
    ///
    /// A range of times that bounds a point in time together with one of dates may end before it begins:
    /// `isCombined` allows that.
    package init?(
        _ values: [String],
        for attribute: QIDOAttribute,
        isCombined: Bool = false
    ) throws(DICOMWebError) {
        // Spaces at either end are never significant in the VRs that can be matched (PS3.5 §6.2).
        let trimmed = values.map { String($0[...].trimmingBlanks()) }
        switch attribute.vr {
        case "UI": try self.init(list: trimmed, of: attribute) { UIDText.isValid($0) }
        case "CS": try self.init(list: trimmed, of: attribute) { $0.utf8.count <= 64 }
        default:
            guard let value = trimmed.first, trimmed.allSatisfy({ $0 == value }) else {
                throw DICOMWebError(.badRequest, "\(attribute.keyword) is given more than once, with different values")
            }
            if value.isEmpty { return nil }
            switch attribute.vr {
            case "DA": try self.init(range: value, of: attribute, isValid: Self.isDate)
            case "TM": try self.init(range: value, of: attribute, isInverted: isCombined, isValid: Self.isTime)
            case "IS", "US":
                guard let number = Int32(value) else { throw Self.refusal(attribute, "an integer") }
                self = .single(String(number))
            default:
                guard value.utf8.count <= 1024 else { throw Self.refusal(attribute, "at most 1024 bytes") }
                guard let condition = Self.text(value) else { return nil }
                self = condition
            }
        }
    }

    /// Values separated by commas or backslashes; a key that comes again adds to them.
    ///
    /// A single one may have wildcards when it is a code.
    private init?(
        list values: [String],
        of attribute: QIDOAttribute,
        isValid: (Substring) -> Bool
    ) throws(DICOMWebError) {
        var items: [String] = []
        for value in values {
            for item in value.split(whereSeparator: { $0 == "," || $0 == "\\" }) {
                let item = item.trimmingBlanks()
                if item.isEmpty { continue }
                guard isValid(item) || (attribute.vr == "UI" && item == "*") else {
                    throw Self.refusal(attribute, "UIDs separated by commas")
                }
                guard items.count < Self.maximumListCount else {
                    throw DICOMWebError(
                        .badRequest,
                        "\(attribute.keyword) has more than \(Self.maximumListCount) values"
                    )
                }
                if !items.contains(String(item)) { items.append(String(item)) }
            }
        }
        // A key without a value, or a star, matches everything (PS3.4 §C.2.2.2.3).
        if items.isEmpty || items.contains("*") { return nil }
        if items.count == 1, let condition = Self.text(items[0]) {
            self = condition
            return
        }
        guard !items.contains(where: Self.hasWildcard) else {
            throw Self.refusal(attribute, "a single value when it has wildcards")
        }
        self = .anyOf(items)
    }

    private init(
        range value: String,
        of attribute: QIDOAttribute,
        isInverted: Bool = false,
        isValid: (Substring) -> Bool
    ) throws(DICOMWebError) {
        let expected =
            attribute.vr == "DA"
            ? "a date YYYYMMDD or a range of two with a hyphen" : "a time HHMMSS or a range of two with a hyphen"
        let parts = value.split(separator: "-", omittingEmptySubsequences: false).map { $0.trimmingBlanks() }
        guard parts.count <= 2, parts.allSatisfy({ $0.isEmpty || isValid($0) }), parts.contains(where: { !$0.isEmpty })
        else { throw Self.refusal(attribute, expected) }
        if parts.count == 1 {
            self = .single(String(parts[0]))
            return
        }
        let lower = parts[0].isEmpty ? nil : String(parts[0])
        let upper = parts[1].isEmpty ? nil : String(parts[1])
        if !isInverted, let lower, let upper, lower > upper, !upper.hasPrefix(lower), !lower.hasPrefix(upper) {
            throw DICOMWebError(.badRequest, "\(attribute.keyword) is a range that ends before it begins")
        }
        self = .range(lower: lower, upper: upper)
    }

    private static func text(_ value: String) -> Self? {
        guard hasWildcard(value) else { return .single(value) }
        return value.utf8.allSatisfy { $0 == UInt8(ascii: "*") } ? nil : .wildcard(value)
    }

    private static func hasWildcard(_ value: String) -> Bool {
        value.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
    }

    /// `YYYYMMDD`; days are checked against 31 only, as data sets hold worse.
    static func isDate(_ text: Substring) -> Bool {
        guard text.utf8.count == 8, text.utf8.allSatisfy(isDigit), let number = Int(text) else { return false }
        return (1...12).contains(number / 100 % 100) && (1...31).contains(number % 100)
    }

    /// `HH`, `HHMM`, `HHMMSS` or `HHMMSS.F…` with one to six digits of a second (PS3.5 §6.2, TM).
    static func isTime(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = parts.first, parts.count <= 2, [2, 4, 6].contains(whole.utf8.count),
            whole.utf8.allSatisfy(isDigit)
        else { return false }
        if parts.count == 2 {
            guard whole.utf8.count == 6, (1...6).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy(isDigit)
            else { return false }
        }
        let digits = whole.utf8.map { Int($0 - UInt8(ascii: "0")) } + [0, 0, 0, 0]
        return digits[0] * 10 + digits[1] < 24 && digits[2] * 10 + digits[3] < 60 && digits[4] * 10 + digits[5] <= 60
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Says what the key takes, never what came: it may be a patient's name.
    private static func refusal(_ attribute: QIDOAttribute, _ expected: String) -> DICOMWebError {
        DICOMWebError(.badRequest, "the value of \(attribute.keyword) must be \(expected)")
    }
}
