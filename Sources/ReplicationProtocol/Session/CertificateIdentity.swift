// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What a certificate says of its holder: a URI in its subject alternative names.
///
/// `varve://cluster/UUID/node/UUID` for a storage node, whose id is its own for ever; `varve://cluster/UUID/role/ROLE` for
/// processes that have no lasting id: ingest nodes, coordinators, tools.
public enum CertificateIdentity: Hashable, Sendable, CustomStringConvertible {
    case node(ClusterID, NodeID)
    case role(ClusterID, NodeRole)

    private static let scheme = "varve://cluster/"

    /// Reads the URI; `nil` for any other.
    public init?(uri: some StringProtocol) {
        guard uri.hasPrefix(Self.scheme) else { return nil }
        let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, let cluster = ClusterID(parts[0]) else { return nil }
        switch parts[1] {
        case "node":
            guard let node = NodeID(parts[2]) else { return nil }
            self = .node(cluster, node)
        case "role":
            // A storage node has an id to be held to.
            guard let role = NodeRole.allCases.first(where: { $0.name == parts[2] }), role != .storage else {
                return nil
            }
            self = .role(cluster, role)
        default:
            return nil
        }
    }

    /// The only identity among a certificate's URIs.
    ///
    /// - Throws: `.unauthenticated` when there is none, or more than one.
    public init(uris: some Sequence<String>) throws(ReplicationError) {
        let identities = uris.compactMap { CertificateIdentity(uri: $0) }
        guard identities.count == 1 else {
            throw ReplicationError(
                .unauthenticated,
                "a certificate with \(identities.count) names of the form \(Self.scheme)UUID/node/UUID or .../role/ROLE"
            )
        }
        self = identities[0]
    }

    /// The URI.
    public var description: String {
        switch self {
        case .node(let cluster, let node): "\(Self.scheme)\(cluster)/node/\(node)"
        case .role(let cluster, let role): "\(Self.scheme)\(cluster)/role/\(role.name)"
        }
    }

    /// Why whoever says `hello` is not the certificate's holder; `nil` when he may be.
    public func objection(to hello: HelloIdentity) -> ReplicationError? {
        let matches: Bool
        switch self {
        case .node(let cluster, let node):
            matches = hello.clusterID == cluster && hello.nodeID == node && hello.role == .storage
        case .role(let cluster, let role):
            matches = hello.clusterID == cluster && hello.role == role
        }
        guard !matches else { return nil }
        return ReplicationError(
            .unauthenticated,
            "the certificate of \(self) is shown by a peer that calls itself \(hello.role.name) node \(hello.nodeID)"
                + " of cluster \(hello.clusterID)"
        )
    }
}

extension NodeRole {
    /// The word in a certificate's URI.
    fileprivate var name: String {
        switch self {
        case .ingest: "ingest"
        case .storage: "storage"
        case .coordinator: "coordinator"
        case .tool: "tool"
        }
    }
}
