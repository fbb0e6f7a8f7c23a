// SPDX-License-Identifier: Apache-2.0

import DICOM
import DIMSE
import Ingest
import Testing

@Suite struct MoveBatchTests {
    private static let explicit = TransferSyntax.explicitVRLittleEndian.uid.string
    private static let implicit = TransferSyntax.implicitVRLittleEndian.uid.string
    private static let jpegLS = TransferSyntax.jpegLSLossless.uid.string

    @Test func proposesEachStoredSyntaxAndNativeOnes() throws {
        let instances = [
            try StoredInstance.made(1, sopClass: "1.1"), try StoredInstance.made(2, sopClass: "1.1"),
            try StoredInstance.made(3, sopClass: "1.1", stored: Self.explicit),
            try StoredInstance.made(4, sopClass: "1.2"),
        ]
        let batch = MoveBatch(of: instances[...])
        #expect(batch.instances.count == 4)
        #expect(batch.contexts.map(\.id) == [1, 3, 5, 7, 9, 11])
        #expect(batch.contexts.map(\.abstractSyntax) == ["1.1", "1.1", "1.1", "1.2", "1.2", "1.2"])
        let syntaxes = [Self.jpegLS, Self.explicit, Self.implicit]
        #expect(batch.contexts.map(\.transferSyntaxes) == (syntaxes + syntaxes).map { [$0] })
    }

    @Test func splitsWhereAnAssociationHasNoMoreContexts() throws {
        let instances = try (0..<100).map { try StoredInstance.made($0, sopClass: "1.\($0)") }
        var rest = instances[...]
        var counts: [Int] = []
        while !rest.isEmpty {
            let batch = MoveBatch(of: rest)
            #expect(batch.contexts.count <= 128)
            #expect(batch.contexts.last?.id == UInt8(2 * batch.contexts.count - 1))
            counts.append(batch.instances.count)
            rest = rest.dropFirst(batch.instances.count)
        }
        // Three contexts a SOP class.
        #expect(counts == [42, 42, 16])
    }

    @Test(arguments: [
        ("STORESCP=127.0.0.1:11113", "STORESCP", "127.0.0.1", 11_113),
        ("A B=host.example:104", "A B", "host.example", 104),
        ("V6=[::1]:104", "V6", "::1", 104),
    ])
    func readsADestination(text: String, aeTitle: String, host: String, port: Int) {
        #expect(MoveDestination(text) == MoveDestination(aeTitle: aeTitle, host: host, port: port))
    }

    @Test(arguments: [
        "", "A=b", "=b:1", "A=:1", "A=b:0", "A=b:65536", "A=b:x", "A:b=1", "SEVENTEENCHARACTER=b:1",
    ])
    func refusesWhatIsNoDestination(text: String) {
        #expect(MoveDestination(text) == nil)
    }
}
