// SPDX-License-Identifier: Apache-2.0

/// A DA value: `YYYYMMDD`, or `YYYY.MM.DD` as ACR-NEMA wrote it.
public struct DICOMDate: Hashable, Comparable, Sendable {
    public let year: Int
    public let month: Int
    public let day: Int

    /// Parses one value; nil when it is no date of the calendar.
    public init?(parsing text: some StringProtocol) {
        let bytes = Array(text.utf8)
        let digits: [UInt8]
        switch bytes.count {
        case 8: digits = bytes
        case 10:
            guard bytes[4] == bytes[7], bytes[4] == UInt8(ascii: ".") || bytes[4] == UInt8(ascii: "-") else {
                return nil
            }
            digits = Array(bytes[0..<4] + bytes[5..<7] + bytes[8..<10])
        default: return nil
        }
        guard let year = Digits.value(digits[0..<4]), let month = Digits.value(digits[4..<6]),
            let day = Digits.value(digits[6..<8]), (1...12).contains(month), day >= 1,
            day <= Self.dayCount(year: year, month: month)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.year, left.month, left.day) < (right.year, right.month, right.day)
    }

    static func dayCount(year: Int, month: Int) -> Int {
        switch month {
        case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

extension DICOMDate: CustomStringConvertible {
    /// `YYYYMMDD`.
    public var description: String {
        Digits.text(self.year, 4) + Digits.text(self.month, 2) + Digits.text(self.day, 2)
    }
}

/// A TM value: `HH[MM[SS[.F{1,6}]]]`, or with colons as ACR-NEMA wrote it.
public struct DICOMTime: Hashable, Comparable, Sendable {
    public let hour: Int
    public let minute: Int
    /// 60 in a leap second.
    public let second: Int
    public let microsecond: Int

    /// Parses one value; what it leaves out is 0.
    public init?(parsing text: some StringProtocol) {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first else { return nil }
        let digits = first.filter { $0 != UInt8(ascii: ":") }
        guard [2, 4, 6].contains(digits.count), let hour = Digits.value(digits[0..<2]) else { return nil }
        let minute = digits.count >= 4 ? Digits.value(digits[2..<4]) : 0
        let second = digits.count >= 6 ? Digits.value(digits[4..<6]) : 0
        guard let minute, let second, hour < 24, minute < 60, second <= 60 else { return nil }
        var microsecond = 0
        if parts.count == 2 {
            let fraction = Array(parts[1])
            guard digits.count == 6, (1...6).contains(fraction.count), let value = Digits.value(fraction[...]) else {
                return nil
            }
            microsecond = (fraction.count..<6).reduce(value) { result, _ in result * 10 }
        }
        self.hour = hour
        self.minute = minute
        self.second = second
        self.microsecond = microsecond
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.hour, left.minute, left.second, left.microsecond)
            < (right.hour, right.minute, right.second, right.microsecond)
    }
}

extension DICOMTime: CustomStringConvertible {
    /// `HHMMSS.FFFFFF`.
    public var description: String {
        Digits.text(self.hour, 2) + Digits.text(self.minute, 2) + Digits.text(self.second, 2) + "."
            + Digits.text(self.microsecond, 6)
    }
}

/// A DT value: `YYYY[MM[DD[HH[MM[SS[.F{1,6}]]]]]][&ZZXX]`; what it leaves out is the earliest.
public struct DICOMDateTime: Hashable, Sendable {
    public let date: DICOMDate
    public let time: DICOMTime
    /// East of UTC; nil when the value does not say.
    public let offsetMinutes: Int?

    /// Parses one value.
    public init?(parsing text: some StringProtocol) {
        var bytes = Array(text.utf8)
        var offset: Int?
        if bytes.count > 5 {
            let sign = bytes[bytes.count - 5]
            if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                guard let value = Digits.value(bytes.suffix(4)), value % 100 < 60, value <= 1400 else { return nil }
                offset = (value / 100 * 60 + value % 100) * (sign == UInt8(ascii: "-") ? -1 : 1)
                bytes.removeLast(5)
            }
        }
        guard bytes.count >= 4 else { return nil }
        var day = Array(bytes.prefix(8))
        guard day.count % 2 == 0 else { return nil }
        while day.count < 8 { day += Array("01".utf8) }
        let rest = bytes.dropFirst(8)
        guard let date = DICOMDate(parsing: String(decoding: day, as: UTF8.self)),
            let time = DICOMTime(parsing: rest.isEmpty ? "00" : String(decoding: rest, as: UTF8.self))
        else { return nil }
        self.date = date
        self.time = time
        self.offsetMinutes = offset
    }
}

extension DataSet {
    /// The first value of a DA element; nil when absent, empty or no date.
    public func date(_ tag: Tag) -> DICOMDate? {
        self.string(tag).flatMap { DICOMDate(parsing: $0) }
    }

    /// The first value of a TM element; nil when absent, empty or no time.
    public func time(_ tag: Tag) -> DICOMTime? {
        self.string(tag).flatMap { DICOMTime(parsing: $0) }
    }

    /// The first value of a DT element; nil when absent, empty or no date and time.
    public func dateTime(_ tag: Tag) -> DICOMDateTime? {
        self.string(tag).flatMap { DICOMDateTime(parsing: $0) }
    }
}

/// Decimal digits of fixed width.
enum Digits {
    static func value(_ digits: ArraySlice<UInt8>) -> Int? {
        var value = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return digits.isEmpty ? nil : value
    }

    static func text(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
