// SPDX-License-Identifier: Apache-2.0

/// A day of the proleptic Gregorian calendar, of the years 1 to 9999, without a time and without a time zone.
///
/// What DICOM calls a date (PS3.5 §6.2, VR DA), and what retention periods are counted in.
public struct CalendarDate: Hashable, Sendable {
    /// The last year that can be written with four digits.
    public static let maximumYear = 9_999
    /// The last day of all.
    public static let last = CalendarDate(validYear: maximumYear, month: 12, day: 31)

    /// Year, month and day side by side, so that comparing dates is comparing numbers.
    private let packed: Int32

    private init(validYear year: Int, month: Int, day: Int) {
        self.packed = Int32(truncatingIfNeeded: year << 9 | month << 5 | day)
    }

    /// The day of that name; nil when the calendar has none (30 February, the year 0).
    public init?(year: Int, month: Int, day: Int) {
        guard 1...Self.maximumYear ~= year, 1...12 ~= month, day >= 1,
            day <= Self.dayCount(ofMonth: month, inYear: year)
        else { return nil }
        self.init(validYear: year, month: month, day: day)
    }

    public var year: Int { Int(packed >> 9) }
    public var month: Int { Int(packed >> 5 & 0xF) }
    public var day: Int { Int(packed & 0x1F) }

    /// How many days a month has in a year.
    public static func dayCount(ofMonth month: Int, inYear year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Whether a year has a 29 February.
    public static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }
}

extension CalendarDate: Comparable {
    public static func < (left: Self, right: Self) -> Bool { left.packed < right.packed }
}

extension CalendarDate: CustomStringConvertible {
    /// As in ISO 8601: `2026-02-28`.
    public var description: String {
        let digits = String(year)
        return String(repeating: "0", count: 4 - digits.count) + digits + Self.twoDigits(month) + Self.twoDigits(day)
    }

    private static func twoDigits(_ number: Int) -> String { (number < 10 ? "-0" : "-") + String(number) }
}

// MARK: Counting days

extension CalendarDate {
    /// Days since 1 January 1970; days before that are negative.
    ///
    /// The year is counted from 1 March, so that the leap day is its last: months before have then the same lengths in
    /// every year, (153 m + 2) / 5 days to the beginning of month m (Howard Hinnant, "chrono-compatible low-level date
    /// algorithms").
    public var dayNumber: Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The day that is so many days after 1 January 1970; nil before the year 1 and after the year 9999.
    public init?(dayNumber: Int) {
        guard Self.dayNumbers.contains(dayNumber) else { return nil }
        let shifted = dayNumber + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        self.init(
            validYear: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
            month: month,
            day: dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }

    /// Of 1 January of the year 1, and of 31 December 9999.
    private static let dayNumbers = -719_162...2_932_896

    /// The day after; nil after 31 December 9999.
    public var next: CalendarDate? {
        if day < Self.dayCount(ofMonth: month, inYear: year) {
            return CalendarDate(validYear: year, month: month, day: day + 1)
        }
        if month < 12 { return CalendarDate(validYear: year, month: month + 1, day: 1) }
        return year < Self.maximumYear ? CalendarDate(validYear: year + 1, month: 1, day: 1) : nil
    }
}
