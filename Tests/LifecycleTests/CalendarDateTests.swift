// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Testing

@Suite struct CalendarDateTests {
    @Test func `days are numbered one by one, through every year`() {
        var day = CalendarDate(year: 1, month: 1, day: 1)
        var number = -719_162
        while let current = day {
            guard current.dayNumber == number, CalendarDate(dayNumber: number) == current else {
                Issue.record("\(current) has the number \(current.dayNumber), not \(number)")
                return
            }
            let next = current.next
            if let next, next <= current { Issue.record("\(next) is not after \(current)") }
            day = next
            number += 1
        }
        #expect(number == 2_932_897, "after 31 December 9999")
        #expect(CalendarDate(dayNumber: number) == nil && CalendarDate(dayNumber: -719_163) == nil)
        #expect(CalendarDate(dayNumber: .max) == nil && CalendarDate(dayNumber: .min) == nil)
    }

    @Test func `1 January 1970 is day 0`() {
        #expect(CalendarDate(year: 1970, month: 1, day: 1)?.dayNumber == 0)
        #expect(CalendarDate(year: 2000, month: 2, day: 29)?.dayNumber == 11_016)
    }

    @Test(arguments: [
        (2026, 2, 29), (1900, 2, 29), (2100, 2, 29), (2024, 2, 30), (2024, 4, 31), (0, 1, 1), (10_000, 1, 1),
        (2024, 0, 1), (2024, 13, 1), (2024, 1, 0), (2024, 1, 32), (-1, 1, 1), (Int.max, Int.min, Int.max),
    ])
    func `what the calendar does not have is no date`(year: Int, month: Int, day: Int) {
        #expect(CalendarDate(year: year, month: month, day: day) == nil)
    }

    @Test(
        arguments: [
            ("20240229", "2024-02-29"), ("2024.02.29", "2024-02-29"), (" 20240229 ", "2024-02-29"),
            ("19991231\0", "1999-12-31"), ("00010101", "0001-01-01"),
            ("20230229", nil), ("00000000", nil), ("", nil), ("  ", nil), ("2024", nil), ("202402", nil),
            ("2024-02-29", nil),
            ("20240229-20240301", nil), ("20240101\\20240102", nil), ("2024.0229", nil), ("20.240.229", nil),
            ("2024022 ", nil), ("2024O229", nil), ("٢٠٢٤٠٢٢٩", nil), ("99999999", nil), ("+2024022", nil),
        ] as [(String, String?)]
    )
    func `DICOM dates are read strictly`(text: String, expected: String?) {
        #expect(CalendarDate(dicom: text)?.description == expected)
    }

    @Test(
        arguments: [
            ("2020-03-15", "5 years", "2025-03-15"),
            ("2020-03-15", "18 months", "2021-09-15"),
            ("2020-03-15", "90 days", "2020-06-13"),
            ("2020-03-15", "2 weeks", "2020-03-29"),
            ("2020-12-31", "1 day", "2021-01-01"),
            // Where the day is lacking the period is full when the month has ended.
            ("2004-02-29", "1 year", "2005-03-01"),
            ("2004-02-29", "4 years", "2008-02-29"),
            ("2004-02-29", "18 years", "2022-03-01"),
            ("1896-02-29", "4 years", "1900-03-01"),
            ("2020-01-31", "1 month", "2020-03-01"),
            ("2021-01-29", "1 month", "2021-03-01"),
            ("2020-01-29", "1 month", "2020-02-29"),
            ("2020-10-31", "1 month", "2020-12-01"),
            ("2020-12-31", "2 months", "2021-03-01"),
            ("2020-11-30", "12 months", "2021-11-30"),
            ("2020-12-15", "12 months", "2021-12-15"),
            ("9998-06-01", "2 years", nil),
            ("9999-12-30", "2 days", nil),
            ("9999-12-30", "1 day", "9999-12-31"),
            ("2020-01-01", "1000 years", "3020-01-01"),
        ] as [(String, String, String?)]
    )
    func `periods are counted as calendars do`(start: String, duration: String, expected: String?) throws {
        let length = try #require(CalendarDuration(duration))
        #expect(day(start).adding(length)?.description == expected)
    }

    @Test func `a longer period never ends earlier, and a later start neither`() throws {
        let periods = (1...51).compactMap { CalendarDuration($0, .months) }
        #expect(periods.count == 51)
        for start in 0..<1_500 {
            let first = try #require(CalendarDate(dayNumber: 10_900 + start))
            let second = try #require(first.next)
            let ends = periods.compactMap { first.adding($0) }
            let laterEnds = periods.compactMap { second.adding($0) }
            #expect(zip(ends, ends.dropFirst()).allSatisfy { $0 < $1 }, "from \(first)")
            #expect(zip(ends, laterEnds).allSatisfy { $0 <= $1 }, "from \(first)")
            #expect(ends.count == periods.count && laterEnds.count == periods.count)
        }
    }
}

@Suite struct CalendarDurationTests {
    @Test(arguments: ["1 day", "90 days", "1 week", "2 weeks", "18 months", "1 year", "5 years", "1000 years"])
    func `is written as it was read`(text: String) {
        #expect(CalendarDuration(text)?.description == text)
    }

    @Test(arguments: [
        "", "5", "years", "5years", "0 days", "-5 years", "+5 years", "5 Years", "5.5 years", "5 decades", "five years",
        "1001 years", "99999999999999999999 days", "5 years 6 months", "5 year", "٥ years", "366001 days",
    ])
    func `anything else is none`(text: String) {
        #expect(CalendarDuration(text) == nil)
    }
}
