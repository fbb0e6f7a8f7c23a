// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Why the cluster could not do what it was asked, and what each node said.
public struct ClusterError: Error, Sendable, CustomStringConvertible {
    /// What went wrong, for callers that decide by it.
    public enum Code: Sendable {
        /// Fewer than the required number of hosts hold the record durably.
        case notEnoughCopies
        /// As `notEnoughCopies`, and a node refuses the record for good: it was deleted, or has its id with other content.
        case refused
        /// No copy could be read whole and undamaged.
        case noReadableCopy
        /// Every node asked says that it does not hold the record.
        case notFound
        /// No placement map has been received yet.
        case noMap
    }

    public let code: Code
    public let message: String
    /// The nodes that hold a copy although the operation failed.
    public let durable: [NodeID]

    init(_ code: Code, _ message: String, durable: [NodeID] = []) {
        self.code = code
        self.message = message
        self.durable = durable
    }

    public var description: String { message }
}
