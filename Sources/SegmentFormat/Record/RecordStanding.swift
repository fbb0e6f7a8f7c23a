// SPDX-License-Identifier: Apache-2.0

/// What all that was said about a record adds up to: whether it is deleted, and whether it must be kept.
///
/// The order in which the facts arrived does not matter.
public struct RecordStanding: Hashable, Sendable {
    /// The latest word on deletion.
    public var isDeleted = false
    /// Whether a hold was set and not released.
    public var isHeld = false
    /// When the latest tombstone or undelete was ordered; `nil` when there was none.
    public var decided: Amendment.Order?

    /// The standing of a record of which nothing was said.
    public init() {}

    public init(isDeleted: Bool, isHeld: Bool, decided: Amendment.Order?) {
        self.isDeleted = isDeleted
        self.isHeld = isHeld
        self.decided = decided
    }

    /// The sum of `amendments`, all of one subject.
    public init(_ amendments: some Sequence<Amendment>) {
        var holds: [Amendment.Reference: (order: Amendment.Order, isSet: Bool)] = [:]
        for amendment in amendments {
            switch amendment.kind {
            case .tombstone, .undelete:
                if let decided, decided > amendment.order { continue }
                decided = amendment.order
                isDeleted = amendment.kind == .tombstone
            case .hold, .release:
                if let known = holds[amendment.reference], known.order > amendment.order { continue }
                holds[amendment.reference] = (amendment.order, amendment.kind == .hold)
            default: break
            }
        }
        isHeld = holds.values.contains { $0.isSet }
    }
}
