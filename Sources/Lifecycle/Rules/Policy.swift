// SPDX-License-Identifier: Apache-2.0

/// What is wanted for a study: copies in tiers, or its end.
public struct Policy: Hashable, Sendable {
    public let name: String
    public let description: String?
    public let aim: Aim
    /// How long what is removed can be taken back: copies that are dropped, and a study that expired.
    public let trash: CalendarDuration

    public init(name: String, description: String? = nil, aim: Aim, trash: CalendarDuration = Policy.defaultTrash) {
        self.name = name
        self.description = description
        self.aim = aim
        self.trash = trash
    }

    public enum Aim: Hashable, Sendable {
        case keep(Keeping)
        /// No copies: the study goes to the trash, and is purged after its grace.
        case expire
    }

    /// The codec class of compressed pixel data, as ingest nodes have it (`codec` of their configuration).
    public enum Codec: String, Hashable, Sendable, CaseIterable {
        case fast, balanced, dense
        case asReceived = "as-received"
    }

    /// What copies on storage nodes must not share.
    public enum Spread: String, Hashable, Sendable, CaseIterable {
        case host, rack, site
    }

    // What a policy that does not say has: 30 days of trash, 7 days of soak, 30 days of stay.
    public static let defaultTrash = CalendarDuration(valid: 30, .days)
    public static let defaultSoak = CalendarDuration(valid: 7, .days)
    public static let defaultStay = CalendarDuration(valid: 30, .days)

    public var expires: Bool { aim == .expire }

    public var keeping: Keeping? {
        if case .keep(let keeping) = aim { keeping } else { nil }
    }
}

/// How a study is kept.
public struct Keeping: Hashable, Sendable {
    /// At least one; each tier at most once, in the order of the file.
    public let copies: [TierCopies]
    public let spread: Policy.Spread
    /// Nil: pixel data stay in the transfer syntax that they have.
    public let codec: Policy.Codec?
    /// The tier of storage nodes to which a study comes back when it is read from packs, as a place in the rule set's
    /// `tiers`; nil: it is read where it is.
    public let recallTier: Int?
    /// How long new copies in packs must have been there, and been read back, before others are dropped for them.
    public let soak: CalendarDuration
    /// How long a study that came back from packs stays on storage nodes, from when it came back or was read last, where no copies
    /// are wanted there.
    public let stay: CalendarDuration

    public init(
        copies: [TierCopies],
        spread: Policy.Spread = .host,
        codec: Policy.Codec? = nil,
        recallTier: Int? = nil,
        soak: CalendarDuration = Policy.defaultSoak,
        stay: CalendarDuration = Policy.defaultStay
    ) {
        self.copies = copies
        self.spread = spread
        self.codec = codec
        self.recallTier = recallTier
        self.soak = soak
        self.stay = stay
    }
}

/// How many copies are wanted in one tier.
public struct TierCopies: Hashable, Sendable {
    /// The tier's place in the rule set's `tiers`.
    public let tier: Int
    public var count: Int

    public init(tier: Int, count: Int) {
        self.tier = tier
        self.count = count
    }
}
