// SPDX-License-Identifier: Apache-2.0

/// What was found of a page of records when catalog, copies and digests were compared (`POST /api/v1/verify`).
public struct VerificationReport: Codable, Sendable, Equatable {
    /// Something that is not as it should be.
    public struct Finding: Codable, Sendable, Equatable {
        public enum Kind: String, Codable, Sendable {
            /// The catalog names a copy that the node does not have.
            case missingCopy = "missing-copy"
            /// The copy was read and is not what it was.
            case damagedCopy = "damaged-copy"
            /// The node that should have the copy did not answer.
            case unreachableCopy = "unreachable-copy"
            /// The catalog names fewer copies, on distinct hosts, than an instance should have.
            case tooFewCopies = "too-few-copies"
            /// The catalog counts no copy on a node, and no cold pack of it is known to be sound.
            case lostInstance = "lost-instance"
            /// A pack with instances that are counted on no node was read, and is damaged or gone.
            case damagedPack = "damaged-pack"
            /// Such a pack could not be read.
            case unreachablePack = "unreachable-pack"
            /// Such a pack is on a medium that is not at hand: nothing is proven of it.
            case offlinePack = "offline-pack"
            /// A record that no row names.
            case orphan
            /// A record that no row names and whose metadata cannot be read.
            case unreadable
        }

        public var kind: Kind
        public var record: String
        /// The node's name; empty when it is not about one.
        public var node: String
        /// Empty when it could not be found out.
        public var sopInstanceUID: String
        public var studyInstanceUID: String
        public var reason: String

        init(
            _ kind: Kind,
            record: String,
            node: String = "",
            sopInstanceUID: String,
            studyInstanceUID: String,
            _ reason: String
        ) {
            self.kind = kind
            self.record = record
            self.node = node
            self.sopInstanceUID = sopInstanceUID
            self.studyInstanceUID = studyInstanceUID
            self.reason = reason
        }
    }

    public var group: Int
    /// The record behind which the next page begins; nil at the group's end.
    public var next: String?
    /// Instances of the catalog on this page.
    public var instances = 0
    /// Their copies that are where the catalog says, and whose bytes are right as far as they were read.
    public var goodCopies = 0
    /// Instances that are in sound cold packs only; nil of a server that knows none.
    public var packed: Int?
    /// Bytes of copies that were read whole, as stored.
    public var readBytes: Int64 = 0
    /// Records too young to be judged: their store may be under way.
    public var young = 0
    /// Records of instances in the trash of which a node was not told yet.
    public var trashed = 0
    /// Copies on nodes that their rows do not name: being dropped, or to be counted by the next comparison.
    public var uncounted = 0
    public var findings: [Finding] = []
    /// Storage nodes that did not answer.
    public var silentNodes: [String] = []

    init(group: Int) {
        self.group = group
    }
}
