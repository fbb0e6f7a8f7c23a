// SPDX-License-Identifier: Apache-2.0

import Catalog
import PackFormat
import Placement
import Telemetry

/// A pack that is to be removed from its store, or was (`/api/v1/removals`).
public struct PackRemovalReport: Codable, Sendable {
    public var pack: String
    /// Study Instance UID.
    public var study: String
    public var tier: String
    /// The store, as a URL, and the name in it.
    public var place: String
    public var key: String
    public var instances: Int
    public var bytes: Int64
    /// `deleted`: all of it was; `given up`: it was damaged, or made anew.
    public var kind: String
    /// `marked`, `being removed` or `removed`.
    public var state: String
    /// Who deleted what is in it, and why.
    public var requestedBy: String
    public var reason: String
    public var requestedAt: String
    /// It stays until then, and longer while it must not go.
    public var dueAt: String
    public var removedAt: String?
    /// The name of the node that removed it.
    public var removedBy: String
    /// What is in the way.
    public var note: String

    init(_ removal: PackRemoval) {
        let id = PackID(high: removal.pack.high, low: removal.pack.low)
        self.pack = "\(id)"
        self.study = removal.studyInstanceUID
        self.tier = removal.tier
        self.place = removal.place
        self.key = PackDescription.key(of: id, study: removal.studyInstanceUID)
        self.instances = removal.instanceCount
        self.bytes = removal.byteCount
        self.kind = removal.isOfDeleted ? "deleted" : "given up"
        if removal.removedAtMilliseconds != nil {
            self.state = "removed"
        } else {
            self.state = removal.begunAtMilliseconds == nil ? "marked" : "being removed"
        }
        self.requestedBy = removal.requestedBy
        self.reason = removal.reason
        self.requestedAt = Timestamp(milliseconds: removal.requestedAtMilliseconds).text
        self.dueAt = Timestamp(milliseconds: removal.dueAtMilliseconds).text
        self.removedAt = removal.removedAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.removedBy = removal.removedBy
        self.note = removal.note
    }
}
