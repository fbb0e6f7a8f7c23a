// SPDX-License-Identifier: Apache-2.0

/// What SOP class extended negotiation can add to a query (PS3.4 table C.5.1-1).
///
/// On the wire a byte each, in this order: 1 for "wanted" in the request, and for "supported" in the answer. Retrieval
/// knows the first only (PS3.4 table C.5.2-1).
public struct QueryRetrieveOptions: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Keys of any level, without the unique keys of those above (PS3.4 sections C.4.1.2.2 and C.4.2.2.2).
    public static let relational = Self(rawValue: 1 << 0)
    /// A date and a time attribute bound one point in time (PS3.4 section C.2.2.2.5.4).
    public static let combinedDateTime = Self(rawValue: 1 << 1)
    /// Fuzzy semantic matching of person names (PS3.4 section C.2.2.2.1.1).
    public static let fuzzyNames = Self(rawValue: 1 << 2)
    /// Dates and times are meant in the time zone that the identifier names.
    public static let timezoneAdjustment = Self(rawValue: 1 << 3)
    /// Instances are converted from enhanced multi-frame to single frames and back.
    public static let enhancedConversion = Self(rawValue: 1 << 4)

    /// Reads the application information of an item 56H; what is missing at its end is 0.
    public init(information: [UInt8]) {
        self = []
        for (index, byte) in information.prefix(8).enumerated() where byte == 1 {
            self.insert(Self(rawValue: 1 << UInt8(index)))
        }
    }

    /// The application information with `count` fields, at most the five that are defined.
    public func information(count: Int) -> [UInt8] {
        (0..<max(1, min(count, 5))).map { self.contains(Self(rawValue: 1 << UInt8($0))) ? 1 : 0 }
    }
}

extension ExtendedNegotiation {
    /// Our answer to a requestor's wishes: what of them is among `supported`, in as many fields as it sent.
    public func answer(supported: QueryRetrieveOptions) -> ExtendedNegotiation {
        let granted = QueryRetrieveOptions(information: self.information).intersection(supported)
        return ExtendedNegotiation(
            sopClassUID: self.sopClassUID,
            information: granted.information(count: self.information.count)
        )
    }
}
