// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What a certificate says of its holder: a URI in its subject alternative names, `varve://cluster/UUID/ROLE/NAME`.
///
/// NAME is what operators call the process. It is not the id of a storage node, which the node itself makes when it first
/// starts: certificates are made before that, and elsewhere (docs/decisions/0023-mutual-tls-by-names-of-our-own.md).
public struct CertificateIdentity: Hashable, Sendable, CustomStringConvertible {
    /// The most characters of a name.
    public static let maximumNameCount = 64

    public let cluster: ClusterID
    public let role: NodeRole
    public let name: String

    private static let scheme = "varve://cluster/"

    /// An identity; `nil` when the name cannot be in a certificate (see ``isName(_:)``).
    public init?(cluster: ClusterID, role: NodeRole, name: some StringProtocol) {
        guard Self.isName(name) else { return nil }
        self.cluster = cluster
        self.role = role
        self.name = String(name)
    }

    /// Whether a certificate can name a process so: letters and digits of ASCII, and after the first also `.`, `_` and `-`.
    public static func isName(_ name: some StringProtocol) -> Bool {
        func isPlain(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            default: false
            }
        }
        let marks = [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")]
        guard let first = name.utf8.first, isPlain(first), name.utf8.count <= maximumNameCount else { return false }
        return name.utf8.allSatisfy { isPlain($0) || marks.contains($0) }
    }

    /// Reads the URI; `nil` for any other.
    public init?(uri: some StringProtocol) {
        guard uri.hasPrefix(Self.scheme) else { return nil }
        let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, let cluster = ClusterID(parts[0]), let role = NodeRole(name: parts[1]) else {
            return nil
        }
        self.init(cluster: cluster, role: role, name: parts[2])
    }

    /// The only identity among a certificate's URIs.
    ///
    /// - Throws: `.unauthenticated` when there is none, or more than one.
    public init(uris: some Sequence<String>) throws(ReplicationError) {
        let identities = uris.compactMap { CertificateIdentity(uri: $0) }
        guard identities.count == 1 else {
            throw ReplicationError(
                .unauthenticated,
                "a certificate with \(identities.count) names of the form \(Self.scheme)UUID/ROLE/NAME"
            )
        }
        self = identities[0]
    }

    /// The URI of an authority that makes certificates for that cluster.
    public static func authorityURI(of cluster: ClusterID) -> String { "\(scheme)\(cluster)" }

    /// The cluster that ``authorityURI(of:)`` names; `nil` for any other URI.
    public static func cluster(ofAuthority uri: some StringProtocol) -> ClusterID? {
        uri.hasPrefix(scheme) ? ClusterID(uri.dropFirst(scheme.count)) : nil
    }

    /// The URI.
    public var description: String { "\(Self.scheme)\(cluster)/\(role.name)/\(name)" }
}

// What the holder may say and do.
extension CertificateIdentity {
    /// Why whoever says `hello` is not the certificate's holder; `nil` when he may be.
    public func objection(to hello: HelloIdentity) -> ReplicationError? {
        guard hello.clusterID != cluster || hello.role != role else { return nil }
        return ReplicationError(
            .unauthenticated,
            "the certificate of \(self) is shown by a peer that calls itself \(hello.role.name) node \(hello.nodeID)"
                + " of cluster \(hello.clusterID)"
        )
    }

    /// Why the holder is not the storage node that a client means to reach; `name` is what the client knows it by, if it
    /// does.
    public func objection(toServingAs name: String?) -> ReplicationError? {
        guard role == .storage else {
            return ReplicationError(.unauthenticated, "the certificate of \(self) is no storage node's")
        }
        guard let name, name != self.name else { return nil }
        return ReplicationError(
            .unauthenticated,
            "the certificate of \(self) is shown where \(name) was expected: the node's 'name' and what the coordinators'"
                + " 'storage-nodes' calls it have to be the same"
        )
    }

    /// Why the holder may not open a stream with that message: only coordinators give orders.
    public func objection(toAsking message: Message) -> ReplicationError? {
        guard role != .coordinator else { return nil }
        let isForEveryMember: Bool
        switch message {
        // A term would raise the node's fence.
        case .putBegin(let begin): isForEveryMember = begin.request.term == nil
        case .get, .head, .verify, .list, .status, .places, .amendments, .digest: isForEveryMember = true
        // What is not known to be harmless is an order.
        default: isForEveryMember = false
        }
        guard !isForEveryMember else { return nil }
        return ReplicationError(.forbidden, "\(message.type.name) from \(self): only a coordinator may order that")
    }
}

extension NodeRole {
    /// The word in a certificate's URI.
    public var name: String {
        switch self {
        case .ingest: "ingest"
        case .storage: "storage"
        case .coordinator: "coordinator"
        case .tool: "tool"
        }
    }

    /// Reads ``name``.
    public init?(name: some StringProtocol) {
        guard let role = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = role
    }
}
