// SPDX-License-Identifier: Apache-2.0

import Placement
import ReplicationProtocol
import Testing

/// Names in certificates.
struct CertificateIdentityTests {
    private static let cluster = "00112233-4455-6677-8899-aabbccddeeff"
    private static let node = "03030303-0303-0303-0404-040404040404"

    @Test func namesAreReadAsTheyAreWritten() {
        let identities: [CertificateIdentity] = [
            .node(Samples.cluster, Samples.storage), .role(Samples.cluster, .ingest),
            .role(Samples.cluster, .coordinator), .role(Samples.cluster, .tool),
        ]
        for identity in identities { #expect(CertificateIdentity(uri: identity.description) == identity) }
        #expect(identities[0].description == "varve://cluster/\(Self.cluster)/node/\(Self.node)")
        #expect(identities[1].description == "varve://cluster/\(Self.cluster)/role/ingest")
    }

    @Test(arguments: [
        "", "https://example.org", "varve://cluster/", "varve://cluster/\(cluster)", "varve://cluster/\(cluster)/node",
        "varve://cluster/\(cluster)/node/", "varve://cluster/\(cluster)/node/x", "varve://cluster/x/node/\(node)",
        "varve://cluster/\(cluster)/node/\(node)/", "varve://cluster/\(cluster)/role/storage",
        "varve://cluster/\(cluster)/role/Ingest", "varve://cluster/\(cluster)/role/",
        "VARVE://cluster/\(cluster)/role/tool",
        "varve://cluster//\(cluster)/role/tool", " varve://cluster/\(cluster)/role/tool",
    ])
    func otherNamesAreNone(uri: String) {
        #expect(CertificateIdentity(uri: uri) == nil)
    }

    @Test func aCertificateHasOneName() throws {
        let tool = "varve://cluster/\(Self.cluster)/role/tool"
        let identity = try CertificateIdentity(uris: ["https://example.org", tool])
        #expect(identity == .role(Samples.cluster, .tool))
        for uris in [
            [], ["https://example.org"], [tool, tool], [tool, "varve://cluster/\(Self.cluster)/node/\(Self.node)"],
        ] {
            let error = #expect(throws: ReplicationError.self) { _ = try CertificateIdentity(uris: uris) }
            #expect(error?.code == .unauthenticated)
            #expect(error?.retry == .never)
        }
    }

    @Test func onlyTheHolderIsTheHolder() {
        let node = CertificateIdentity.node(Samples.cluster, Samples.storage)
        #expect(node.objection(to: Samples.server) == nil)
        let ingest = CertificateIdentity.role(Samples.cluster, .ingest)
        #expect(ingest.objection(to: Samples.client) == nil)
        #expect(ingest.objection(to: Samples.server)?.code == .unauthenticated)
        #expect(node.objection(to: Samples.client)?.code == .unauthenticated)
        for change: (inout HelloIdentity) -> Void in [
            { $0.nodeID = Samples.ingest }, { $0.clusterID = ClusterID(high: 1, low: 1) }, { $0.role = .coordinator },
        ] {
            var other = Samples.server
            change(&other)
            #expect(node.objection(to: other)?.code == .unauthenticated)
        }
        var elsewhere = Samples.client
        elsewhere.clusterID = ClusterID(high: 1, low: 1)
        #expect(ingest.objection(to: elsewhere)?.code == .unauthenticated)
    }
}
