// SPDX-License-Identifier: Apache-2.0

/// What POST to `/api/v1/studies/{uid}/give-up` takes.
public struct GivingUpRequest: Codable, Sendable {
    /// The tier whose packs of the study are to be given up.
    public var tier: String
    /// Why; kept for ever.
    public var reason: String

    public init(tier: String, reason: String) {
        self.tier = tier
        self.reason = reason
    }
}

/// What came of giving up a study's packs of a tier.
public struct GivingUpReport: Codable, Sendable {
    /// Study Instance UID.
    public var study: String
    public var tier: String
    /// Packs that are not read from any more.
    public var givenUp: Int
    /// Packs that others hold all of, which have to be read first: ask again when they were.
    public var unproven: Int
    /// Packs that have something which is in no other, in the trash maybe.
    public var needed: Int
}
