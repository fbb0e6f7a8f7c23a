// SPDX-License-Identifier: Apache-2.0

/// A period as laws and contracts state it: five years, eighteen months, ninety days.
///
/// Not a number of seconds: five years are as many days as those five years have.
public struct CalendarDuration: Hashable, Sendable {
    public enum Unit: String, Hashable, Sendable, CaseIterable {
        case days, weeks, months, years
    }

    /// No period is longer: a typing error of a few digits must not pass for a decision.
    public static let maximumYears = 1_000

    public let count: Int
    public let unit: Unit

    /// A period of one day at least and a thousand years at most; nil for others.
    public init?(_ count: Int, _ unit: Unit) {
        let maximum =
            switch unit {
            case .days: Self.maximumYears * 366
            case .weeks: Self.maximumYears * 53
            case .months: Self.maximumYears * 12
            case .years: Self.maximumYears
            }
        guard 1...maximum ~= count else { return nil }
        self.count = count
        self.unit = unit
    }

    /// A period of ours, which is valid.
    init(valid count: Int, _ unit: Unit) {
        self.count = count
        self.unit = unit
    }

    /// Reads `5 years`, `1 month`, `90 days`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let words = text.split(separator: " ")
        guard words.count == 2, words[0].utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let count = Int(words[0]) else {
            return nil
        }
        let unit = Unit.allCases.first { $0.rawValue == words[1] || (count == 1 && $0.rawValue.dropLast() == words[1]) }
        guard let unit else { return nil }
        self.init(count, unit)
    }

    /// Days or months, whichever it is counted in; comparable only with others of the same.
    var span: (isMonths: Bool, count: Int) {
        switch unit {
        case .days: (false, count)
        case .weeks: (false, count * 7)
        case .months: (true, count)
        case .years: (true, count * 12)
        }
    }
}

extension CalendarDuration: CustomStringConvertible {
    public var description: String { "\(count) \(count == 1 ? String(unit.rawValue.dropLast()) : unit.rawValue)" }
}

extension CalendarDate {
    /// The day on which a period that began on this day is full: its anniversary.
    ///
    /// Where the month of the anniversary lacks the day, it is the first day after that month: what began on 29
    /// February 2004 is a year old on 1 March 2005, and what began on 31 January is a month old on 1 March. So no
    /// period is ever full before its last day has passed (docs/decisions/0055-an-unknown-never-expires.md).
    ///
    /// Nil when it is beyond the year 9999: that day does not come.
    public func adding(_ duration: CalendarDuration) -> CalendarDate? {
        let (isMonths, count) = duration.span
        guard isMonths else { return CalendarDate(dayNumber: dayNumber + count) }
        let months = year * 12 + (month - 1) + count
        let (newYear, newMonth) = (months / 12, months % 12 + 1)
        guard newYear <= Self.maximumYear else { return nil }
        // December has 31 days, so the month after is of the same year.
        return CalendarDate(year: newYear, month: newMonth, day: day)
            ?? CalendarDate(year: newYear, month: newMonth + 1, day: 1)
    }

    /// The earlier of two days, of which nil never comes.
    static func earlier(_ first: CalendarDate?, _ second: CalendarDate?) -> CalendarDate? {
        guard let first else { return second }
        guard let second else { return first }
        return min(first, second)
    }

    /// The later of two days, of which nil never comes.
    static func later(_ first: CalendarDate?, _ second: CalendarDate?) -> CalendarDate? {
        guard let first, let second else { return nil }
        return max(first, second)
    }
}
