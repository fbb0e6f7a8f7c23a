// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOCore
import Testing

/// Associations of our own as what instances are sent to (C-MOVE).
@Suite struct StoreTargetTests {
    private static func outgoing(_ association: DICOMAssociation, originator: Bool = false) throws -> OutgoingStore {
        OutgoingStore(
            sopClassUID: ctStorage,
            sopInstanceUID: "1.2.3",
            contextID: try #require(association.storeContexts.first { $0.abstractSyntax == ctStorage }).id,
            priority: .high,
            moveOriginator: originator ? (aeTitle: try AETitle("MOVER"), messageID: 17) : nil
        )
    }

    @Test func sendsPiecesAndWhoAskedForThem() async throws {
        let service = TestService()
        try await Serving.run(service) { serving in
            let association = try await serving.associate()
            let pieces = [pattern(3), pattern(500_001, seed: 1), pattern(131_060, seed: 2)]
            let response = try await association.store(Self.outgoing(association, originator: true)) { write in
                try await write([pieces[0], pieces[1]])
                try await write([])
                try await write([pieces[2]])
            }
            #expect(response == .success)
            #expect(try await association.store(Self.outgoing(association)) { try await $0([pattern(10)]) } == .success)
            try await association.release()
            let (first, second) = (service.stored[0], service.stored[1])
            #expect(first.bytes == pieces.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) })
            #expect(first.request.moveOriginatorAETitle?.value == "MOVER")
            #expect(first.request.moveOriginatorMessageID == 17)
            #expect(first.request.priority == .high)
            #expect(second.request.moveOriginatorAETitle == nil)
            #expect(second.request.messageID == first.request.messageID + 1)
        }
    }

    @Test func aDestinationThatHangsIsGivenUp() async throws {
        let gate = Gate()
        let service = TestService(answer: { _ in
            await gate.pass()
            return .success
        })
        try await Serving.run(service) { serving in
            let association = try await serving.associate(configure: { $0.responseTimeout = .milliseconds(100) })
            let error = await #expect(throws: DICOMNetworkError.self) {
                try await association.store(Self.outgoing(association)) { try await $0([pattern(1_000)]) }
            }
            #expect(error?.code == .timedOut)
            gate.open()
        }
    }

    @Test func aDataSetThatBreaksOffEndsTheAssociationAndIsNamedAsTheCause() async throws {
        struct Unreadable: Error {}
        let service = TestService()
        try await Serving.run(service) { serving in
            let association = try await serving.associate()
            let error = await #expect(throws: DICOMNetworkError.self) {
                try await association.store(Self.outgoing(association)) { write in
                    try await write([pattern(200_000)])
                    throw Unreadable()
                }
            }
            #expect(error?.code == .aborted)
            #expect(error?.cause is Unreadable)
            await #expect(throws: DICOMNetworkError.self) { try await association.echo() }
            #expect(service.stored.isEmpty)
        }
    }
}
