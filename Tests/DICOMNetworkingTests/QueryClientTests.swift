// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// The client's side of operations with several responses.
@Suite struct QueryClientTests {
    private static let find = QueryRetrieveSOPClass(.studyRoot, .find)
    private static let move = QueryRetrieveSOPClass(.patientRoot, .move)
    private static let identifier = ByteBuffer(string: "an identifier..")

    private static func associated(
        _ query: @escaping @Sendable (QueryRetrieveRequest, RequestExchange) async -> QueryRetrieveResponse,
        configure: (inout DICOMClientConfiguration) -> Void = { _ in },
        _ body: (DICOMAssociation) async throws -> Void
    ) async throws {
        try await Serving.run(
            TestService(query: query),
            configure: { $0.queryRetrieveSOPClasses = [find.uid: [], move.uid: []] },
            { serving in
                let association = try await Serving.client(port: serving.port, configure: configure).connect(
                    contexts: DICOMClient.contexts(
                        [find.uid, move.uid, UIDText.verification].map { ($0, [UIDText.implicitVRLittleEndian]) }
                    )
                )
                try await body(association)
            }
        )
    }

    @Test func givesEachResponseAndReturnsTheLast() async throws {
        try await Self.associated({ request, exchange in
            let identifiers = [10, 200_000, 0].map { ByteBuffer(repeating: 7, count: $0) }
            let responses = identifiers.map {
                QueryRetrieveResponse(.pending, identifier: $0.readableBytes == 0 ? nil : $0)
            }
            guard (try? await exchange.send(responses)) != nil, request.identifier == Self.identifier else {
                return QueryRetrieveResponse(.processingFailure)
            }
            return QueryRetrieveResponse(.identifierDoesNotMatchSOPClass, errorComment: "no", offendingElements: [5])
        }) { association in
            let seen = NIOLockedValueBox<[Int?]>([])
            let last = try await association.query(Self.find, identifier: Self.identifier) { response in
                seen.withLockedValue { $0.append(response.identifier?.readableBytes) }
                return true
            }
            #expect(seen.withLockedValue { $0 } == [10, 200_000, nil])
            #expect(last.status == .identifierDoesNotMatchSOPClass)
            #expect(last.errorComment == "no")
            #expect(last.offendingElements == [5])
            #expect(try await association.echo() == .success)
            try await association.release()
        }
    }

    @Test func cancelsWhenItHasEnough() async throws {
        try await Self.associated({ _, exchange in
            while (try? await exchange.send([QueryRetrieveResponse(.pending, identifier: Self.identifier)])) != nil {}
            return QueryRetrieveResponse(.success)
        }) { association in
            let count = NIOLockedValueBox(0)
            let last = try await association.query(Self.find, identifier: Self.identifier) { _ in
                count.withLockedValue { count in
                    count += 1
                    return count < 3
                }
            }
            #expect(last.status == .cancel)
            #expect(count.withLockedValue { $0 } >= 3)
            #expect(try await association.echo() == .success)
            try await association.release()
        }
    }

    @Test func namesTheDestinationAndReadsTheCounts() async throws {
        try await Self.associated({ request, exchange in
            let counts = SuboperationCounts(remaining: 0, completed: 2, failed: 1)
            guard request.moveDestination?.value == "THERE", request.priority == .low else {
                return QueryRetrieveResponse(.moveDestinationUnknown)
            }
            return QueryRetrieveResponse(counts.finalStatus, counts: counts, identifier: Self.identifier)
        }) { association in
            let last = try await association.query(
                Self.move,
                identifier: Self.identifier,
                priority: .low,
                destination: AETitle("THERE")
            ) { _ in true }
            #expect(last.counts == SuboperationCounts(remaining: 0, completed: 2, failed: 1))
            #expect(last.identifier == Self.identifier)
            try await association.release()
        }
    }

    @Test func aPeerThatStopsAnsweringIsGivenUp() async throws {
        let gate = Gate()
        try await Self.associated(
            { _, exchange in
                _ = try? await exchange.send([QueryRetrieveResponse(.pending, identifier: Self.identifier)])
                await gate.pass()
                return QueryRetrieveResponse(.success)
            },
            configure: { $0.responseTimeout = .milliseconds(200) }
        ) { association in
            let error = await #expect(throws: DICOMNetworkError.self) {
                try await association.query(Self.find, identifier: Self.identifier) { _ in true }
            }
            #expect(error?.code == .timedOut)
            gate.open()
        }
    }

    @Test func whatThePeerDoesNotServeIsNotAsked() async throws {
        try await Self.associated({ _, _ in QueryRetrieveResponse(.success) }) { association in
            let other = QueryRetrieveSOPClass(.studyRoot, .move)
            let error = await #expect(throws: DICOMNetworkError.self) {
                try await association.query(other, identifier: Self.identifier) { _ in true }
            }
            #expect(error?.code == .contextNotAccepted)
            try await association.release()
        }
    }
}
