// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import Testing

@Suite struct AmendmentTests {
    static func amendment(
        _ kind: Amendment.Kind,
        term: UInt64 = 1,
        _ sequence: UInt64,
        reference: UInt64 = 0
    ) throws -> Amendment {
        Amendment(
            subject: try Fixture.id(1),
            kind: kind,
            order: Amendment.Order(term: Term(rawValue: term), sequence: sequence),
            reference: Amendment.Reference(high: 0, low: reference),
            issuedAtMilliseconds: 0
        )
    }

    @Test func hasGoldenBytes() throws {
        let amendment = Amendment(
            subject: try Fixture.id(1),
            kind: .release,
            order: Amendment.Order(term: Term(rawValue: 0x0807_0605_0403_0201), sequence: 0x1817_1615_1413_1211),
            reference: Amendment.Reference(high: 0x2021_2223_2425_2627, low: 0x2829_2A2B_2C2D_2E2F),
            issuedAtMilliseconds: 0x0000_018B_CFE5_6800
        )
        let encoded = amendment.encoded()
        #expect(encoded.readableBytes == Amendment.byteCount)
        #expect(Fixture.hexadecimal(encoded) == Golden.amendment)
        #expect(try Amendment(decoding: encoded, subject: amendment.subject, type: .amendment) == amendment)
    }

    @Test func theDaysOfADeletionAreBetweenKindAndTerm() throws {
        var amendment = try Self.amendment(.tombstone, 1)
        let without = Array(amendment.encoded().readableBytesView)
        amendment.keptDays = 0x0102
        let with = Array(amendment.encoded().readableBytesView)
        #expect(with[4] == 2 && with[5] == 1 && without[4] == 0 && without[5] == 0)
        #expect(with[..<4] == without[..<4] && with[6...] == without[6...])
        let read = try Amendment(decoding: amendment.encoded(), subject: amendment.subject, type: .tombstone)
        #expect(read == amendment)
    }

    @Test func whatIsNoAmendmentIsRefused() throws {
        let subject = try Fixture.id(1)
        let encoded = try Self.amendment(.tombstone, 1).encoded()
        for count in 0..<Amendment.byteCount {
            let cut = try #require(encoded.getSlice(at: 0, length: count))
            #expect(throws: SegmentFormatError.self) {
                try Amendment(decoding: cut, subject: subject, type: .tombstone)
            }
        }
        var longer = encoded
        longer.writeInteger(UInt8(0))
        let long = longer
        #expect(throws: SegmentFormatError.self) { try Amendment(decoding: long, subject: subject, type: .tombstone) }
        // A tombstone is a record type of its own, so that a list of records shows what is deleted.
        #expect(throws: SegmentFormatError.self) {
            try Amendment(decoding: encoded, subject: subject, type: .amendment)
        }
        var later = encoded
        later.setInteger(UInt8(2), at: 0)
        let unknown = later
        let error = #expect(throws: SegmentFormatError.self) {
            try Amendment(decoding: unknown, subject: subject, type: .tombstone)
        }
        #expect(error?.code == .unsupportedVersion)
    }

    @Test func theLatestWordCountsInWhateverOrderItArrives() throws {
        let all = try [
            Self.amendment(.tombstone, 1), Self.amendment(.undelete, 2), Self.amendment(.tombstone, term: 2, 1),
            Self.amendment(.hold, 3, reference: 7), Self.amendment(.release, 5, reference: 7),
            Self.amendment(.hold, 4, reference: 8), Self.amendment(Amendment.Kind(rawValue: 99), term: 9, 9),
        ]
        var generator = SeededGenerator.announced("theLatestWordCountsInWhateverOrderItArrives")
        for _ in 0..<200 {
            let standing = RecordStanding(all.shuffled(using: &generator))
            #expect(standing.isDeleted && standing.isHeld)
            #expect(standing.decided == Amendment.Order(term: Term(rawValue: 2), sequence: 1))
            let rest = try all.filter { $0.order.term.rawValue == 1 } + [Self.amendment(.release, 6, reference: 8)]
            let other = RecordStanding(rest.shuffled(using: &generator))
            #expect(!other.isDeleted && !other.isHeld)
        }
        #expect(RecordStanding([]) == RecordStanding())
    }

    @Test func oneHoldsReleaseDoesNotEndAnother() throws {
        let standing = try RecordStanding([
            Self.amendment(.hold, 1, reference: 1), Self.amendment(.hold, 2, reference: 2),
            Self.amendment(.release, 3, reference: 1),
        ])
        #expect(standing.isHeld)
    }
}
