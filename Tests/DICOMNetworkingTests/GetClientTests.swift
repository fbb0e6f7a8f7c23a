// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// C-GET as its requestor: the peer's C-STORE requests come back over the association.
@Suite struct GetClientTests {
    private static let get = QueryRetrieveSOPClass(.studyRoot, .get)
    private static let identifier = ByteBuffer(string: "an identifier..")

    private static func associated(
        _ query: @escaping @Sendable (QueryRetrieveRequest, RequestExchange) async -> QueryRetrieveResponse,
        configure: (inout DICOMClientConfiguration) -> Void = { _ in },
        _ body: (DICOMAssociation) async throws -> Void
    ) async throws {
        try await Serving.run(
            TestService(query: query),
            configure: { $0.queryRetrieveSOPClasses = [get.uid: []] },
            { serving in
                let association = try await Serving.client(port: serving.port, configure: configure).connect(
                    contexts: DICOMClient.contexts([
                        (get.uid, [UIDText.implicitVRLittleEndian]), (ctStorage, [UIDText.explicitVRLittleEndian]),
                        (UIDText.verification, [UIDText.implicitVRLittleEndian]),
                    ]),
                    roles: [RoleSelection(sopClassUID: ctStorage, isSCU: false, isSCP: true)]
                )
                try await body(association)
            }
        )
    }

    /// A server that sends data sets of these lengths; its last response counts the answers.
    private static func sending(
        _ byteCounts: [Int],
        sopClass: String = ctStorage
    ) -> @Sendable (QueryRetrieveRequest, RequestExchange) async -> QueryRetrieveResponse {
        { _, exchange in
            var counts = SuboperationCounts(remaining: byteCounts.count)
            for (index, byteCount) in byteCounts.enumerated() {
                guard !exchange.isCancelled, let context = exchange.storeContexts.first else { break }
                let store = OutgoingStore(sopClassUID: sopClass, sopInstanceUID: "1.2.\(index)", contextID: context.id)
                let response = try? await exchange.store(store) { write in
                    try await write([pattern(byteCount, seed: index)])
                }
                counts.add(response?.status ?? .processingFailure)
                guard (try? await exchange.send([QueryRetrieveResponse(.pending, counts: counts)])) != nil else {
                    break
                }
            }
            return QueryRetrieveResponse(exchange.isCancelled ? .cancel : counts.finalStatus, counts: counts)
        }
    }

    @Test func takesEachInstanceInPieces() async throws {
        let byteCounts = [2, 1 << 20, 5_000_000, 20_000_000]
        try await Self.associated(Self.sending(byteCounts)) { association in
            var seen: [Int] = []
            var largest = 0
            let last = try await association.get(Self.get, identifier: Self.identifier) { store in
                var whole = ByteBuffer()
                while let piece = try? await store.nextPiece() {
                    largest = max(largest, piece.readableBytes)
                    whole.writeImmutableBuffer(piece)
                }
                #expect(whole == pattern(whole.readableBytes, seed: seen.count))
                #expect(store.sopClassUID == ctStorage && store.sopInstanceUID == "1.2.\(seen.count)")
                #expect(store.transferSyntax == UIDText.explicitVRLittleEndian)
                seen.append(whole.readableBytes)
                return .success
            }
            #expect(seen == byteCounts)
            // A piece and what came with it in one read.
            #expect(largest < 2 << 20)
            #expect(last.status == .success)
            #expect(last.counts?.completed == 4)
            #expect(try await association.echo() == .success)
            try await association.release()
        }
    }

    @Test func whatIsNotReadIsPassedOverAndTheAnswersCount() async throws {
        try await Self.associated(Self.sending([20_000_000, 10, 20_000_000])) { association in
            var count = 0
            let last = try await association.get(Self.get, identifier: Self.identifier) { store in
                count += 1
                if count == 3 { _ = try? await store.nextPiece() }
                return count == 2 ? .success : StoreResponse(.outOfResources, errorComment: "full")
            }
            #expect(count == 3)
            #expect(last.status == .suboperationsFailed)
            #expect(last.counts == SuboperationCounts(remaining: 0, completed: 1, failed: 2))
            try await association.release()
        }
    }

    @Test func aPeerThatSendsAnotherSOPClassIsRefused() async throws {
        try await Self.associated(Self.sending([10], sopClass: "1.2.840.10008.5.1.4.1.1.4")) { association in
            let last = try await association.get(Self.get, identifier: Self.identifier) { _ in
                Issue.record("taken")
                return .success
            }
            #expect(last.counts?.failed == 1)
            try await association.release()
        }
    }

    @Test func cancels() async throws {
        try await Self.associated(Self.sending(Array(repeating: 10, count: 1_000))) { association in
            var count = 0
            let last = try await association.get(
                Self.get,
                identifier: Self.identifier,
                onPending: { _ in false },
                take: { _ in
                    count += 1
                    return .success
                }
            )
            #expect(last.status == .cancel)
            #expect(count < 1_000)
            try await association.release()
        }
    }

    @Test func anAssociationThatBreaksEndsTheWait() async throws {
        try await Self.associated({ _, exchange in
            guard let context = exchange.storeContexts.first else { return QueryRetrieveResponse(.success) }
            struct Broken: Error {}
            let store = OutgoingStore(sopClassUID: ctStorage, sopInstanceUID: "1.2", contextID: context.id)
            _ = try? await exchange.store(store) { write in
                try await write([pattern(3_000_000)])
                throw Broken()
            }
            return QueryRetrieveResponse(.success)
        }) { association in
            let error = await #expect(throws: DICOMNetworkError.self) {
                try await association.get(Self.get, identifier: Self.identifier) { store in
                    while let _ = try? await store.nextPiece() {}
                    return .success
                }
            }
            #expect(error?.code == .aborted)
        }
    }

    @Test func aSlowReaderIsNotTakenForASilentPeer() async throws {
        try await Self.associated(
            Self.sending([12_000_000]),
            configure: { $0.responseTimeout = .milliseconds(500) }
        ) { association in
            let last = try await association.get(Self.get, identifier: Self.identifier) { store in
                _ = try? await store.nextPiece()
                // Longer than a peer may be silent.
                try? await Task.sleep(for: .milliseconds(700))
                while let _ = try? await store.nextPiece() {}
                try? await Task.sleep(for: .milliseconds(700))
                return .success
            }
            #expect(last.status == .success)
            try await association.release()
        }
    }
}
