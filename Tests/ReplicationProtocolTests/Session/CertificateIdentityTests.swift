// SPDX-License-Identifier: Apache-2.0

import Placement
import ReplicationProtocol
import Testing

/// Names in certificates, and what their holders may do.
struct CertificateIdentityTests {
    private static let cluster = "00112233-4455-6677-8899-aabbccddeeff"

    private static func identity(_ role: NodeRole, _ name: String = "a") throws -> CertificateIdentity {
        try #require(CertificateIdentity(cluster: Samples.cluster, role: role, name: name))
    }

    @Test(arguments: NodeRole.allCases)
    func namesAreReadAsTheyAreWritten(role: NodeRole) throws {
        let identity = try Self.identity(role, "Node-1.b_c")
        #expect(identity.description == "varve://cluster/\(Self.cluster)/\(role.name)/Node-1.b_c")
        #expect(CertificateIdentity(uri: identity.description) == identity)
        #expect(NodeRole(name: role.name) == role)
    }

    @Test(arguments: [
        "", "https://example.org", "varve://cluster/", "varve://cluster/\(cluster)",
        "varve://cluster/\(cluster)/storage",
        "varve://cluster/\(cluster)/storage/", "varve://cluster/x/storage/a", "varve://cluster/\(cluster)/storage/a/",
        "varve://cluster/\(cluster)/storage/a/b", "varve://cluster/\(cluster)/Storage/a",
        "varve://cluster/\(cluster)//a",
        "varve://cluster/\(cluster)/storage/..", "varve://cluster/\(cluster)/storage/a b",
        "varve://cluster/\(cluster)/storage/%61", "varve://cluster/\(cluster)/storage/\u{e4}",
        "VARVE://cluster/\(cluster)/tool/a", "varve://cluster//\(cluster)/tool/a", " varve://cluster/\(cluster)/tool/a",
    ])
    func otherNamesAreNone(uri: String) {
        #expect(CertificateIdentity(uri: uri) == nil)
    }

    @Test func namesHaveALimit() {
        let longest = String(repeating: "a", count: CertificateIdentity.maximumNameCount)
        #expect(CertificateIdentity.isName(longest))
        #expect(!CertificateIdentity.isName(longest + "a"))
        for name in ["", ".a", "-a", "_a", "a/b", "a\n"] { #expect(!CertificateIdentity.isName(name), "\(name)") }
    }

    @Test func authoritiesNameTheirCluster() {
        let uri = CertificateIdentity.authorityURI(of: Samples.cluster)
        #expect(uri == "varve://cluster/\(Self.cluster)")
        #expect(CertificateIdentity.cluster(ofAuthority: uri) == Samples.cluster)
        for other in [uri + "/tool/a", "varve://cluster/", "https://example.org"] {
            #expect(CertificateIdentity.cluster(ofAuthority: other) == nil)
        }
    }

    @Test func aCertificateHasOneName() throws {
        let tool = "varve://cluster/\(Self.cluster)/tool/a"
        let identity = try CertificateIdentity(uris: ["https://example.org", tool])
        #expect(try identity == Self.identity(.tool))
        for uris in [
            [], ["https://example.org"], [tool, tool], [tool, "varve://cluster/\(Self.cluster)/storage/a"],
        ] {
            let error = #expect(throws: ReplicationError.self) { _ = try CertificateIdentity(uris: uris) }
            #expect(error?.code == .unauthenticated)
            #expect(error?.retry == .never)
        }
    }

    @Test func onlyTheHolderIsTheHolder() throws {
        #expect(try Self.identity(.storage).objection(to: Samples.server) == nil)
        #expect(try Self.identity(.ingest).objection(to: Samples.client) == nil)
        #expect(try Self.identity(.ingest).objection(to: Samples.server)?.code == .unauthenticated)
        #expect(try Self.identity(.storage).objection(to: Samples.client)?.code == .unauthenticated)
        var elsewhere = Samples.client
        elsewhere.clusterID = ClusterID(high: 1, low: 1)
        #expect(try Self.identity(.ingest).objection(to: elsewhere)?.code == .unauthenticated)
    }

    @Test func onlyAStorageNodeServes() throws {
        let node = try Self.identity(.storage, "storage-1")
        #expect(node.objection(toServingAs: nil) == nil)
        #expect(node.objection(toServingAs: "storage-1") == nil)
        let error = node.objection(toServingAs: "storage-2")
        #expect(error?.code == .unauthenticated)
        #expect(error?.message.contains("storage-2") == true)
        for role in [NodeRole.ingest, .coordinator, .tool] {
            #expect(try Self.identity(role, "storage-1").objection(toServingAs: "storage-1")?.code == .unauthenticated)
        }
    }

    /// Every message that opens a stream; what is not on the list of the harmless is an order.
    @Test(arguments: Samples.all.map(\.message).filter(\.type.opensStream))
    func onlyACoordinatorGivesOrders(message: Message) throws {
        let harmless: Set<MessageType> = [
            .putBegin, .get, .head, .verify, .list, .status, .places, .amendments, .digest,
        ]
        var isForAll = harmless.contains(message.type)
        // An order by its term: it would depose the coordinator.
        if case .putBegin(let begin) = message { isForAll = begin.request.term == nil }
        for role in NodeRole.allCases {
            let error = try Self.identity(role).objection(toAsking: message)
            #expect((error == nil) == (isForAll || role == .coordinator), "\(role) \(message.type)")
            if let error { #expect(error.code == .forbidden && error.retry == .never) }
        }
    }

    @Test func theMessagesOfThatTestHaveOrdersAmongThem() {
        let types = Set(Samples.all.map(\.message.type))
        #expect(
            types.isSuperset(of: [
                .amend, .pull, .purgePermit, .map, .drop, .buildPack, .verifyPack, .recall, .removePack,
            ])
        )
        let terms = Samples.all.compactMap { sample in
            if case .putBegin(let begin) = sample.message { Optional(begin.request.term != nil) } else { nil }
        }
        #expect(Set(terms) == [true, false])
    }
}
