// SPDX-License-Identifier: Apache-2.0

/// What an operator wants of a storage node; the raw values are stored: never reuse one.
public enum NodeService: UInt8, Sendable, Hashable, CaseIterable {
    /// Takes part.
    case inService = 0
    /// To be emptied: what it has is read and copied from, but belongs to others.
    case draining = 1
    /// Has left for good: what it has does not count, and when it comes back it is recognised and refused.
    case removed = 2
}
