// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Connections that end in the middle of a put, at every byte of it.
@Suite(.timeLimit(.minutes(10)))
struct CutTests {
    private static let record = TestRecord(1, byteCount: 100, metadataByteCount: 20)

    private static var configuration: ReplicationClientConfiguration {
        var configuration = Loopback.patient
        configuration.initialReconnectPause = .milliseconds(1)
        configuration.maximumReconnectPause = .milliseconds(5)
        return configuration
    }

    /// One put through a proxy that cuts after so many bytes: whether it did, and what the client says.
    private static func put(
        cutAfter byteCount: Int,
        _ direction: CutProxy.Direction,
        repeating: Bool
    ) async throws -> (hasCut: Bool, service: FakeService, result: Result<PutOutcome, ReplicationError>) {
        let service = FakeService()
        var outcome: (Bool, Result<PutOutcome, ReplicationError>)?
        try await Loopback.run(service) { loopback in
            try await CutProxy.run(serverPort: loopback.port, cutAfter: byteCount, direction) { proxy in
                try await Loopback.withClient(port: proxy.port, configuration: configuration) { client in
                    let result = await Self.put(client, repeating: repeating)
                    outcome = (proxy.hasCut, result)
                }
            }
        }
        let (hasCut, result) = try #require(outcome)
        return (hasCut, service, result)
    }

    private static func put(_ client: ReplicationClient, repeating: Bool) async -> Result<PutOutcome, ReplicationError>
    {
        do throws(ReplicationError) {
            guard repeating else { return .success(try await client.put(record.request, payload: record.payload)) }
            let outcome = try await client.repeating(patience: .minutes(5)) {
                () async throws(ReplicationError) -> PutOutcome in
                try await client.put(record.request, payload: record.payload)
            }
            return .success(outcome)
        } catch {
            return .failure(error)
        }
    }

    /// What the client says is never more than what the node has, and only an unknown outcome leaves a question.
    @Test(arguments: [CutProxy.Direction.toServer, .toClient])
    func theClientNeverClaimsTooMuch(direction: CutProxy.Direction) async throws {
        var unknownCount = 0
        var byteCount = 0
        while true {
            let (hasCut, service, result) = try await Self.put(cutAfter: byteCount, direction, repeating: false)
            let isStored = service.state.withLockedValue { $0.records[Self.record.request.recordID] != nil }
            switch result {
            case .success:
                #expect(isStored, "after \(byteCount) bytes")
            case .failure(let error) where error.code == .outcomeUnknown:
                unknownCount += 1
                #expect(error.retry == .sameNode)
            case .failure(let error):
                #expect(!isStored, "\(error) after \(byteCount) bytes")
                #expect(error.retry == .otherNode, "\(error) after \(byteCount) bytes")
            }
            guard hasCut else { break }
            byteCount += 1
        }
        // HELLO and a put, or HELLO-ACK, credit and PUT-ACK: it was cut in all of them.
        #expect(byteCount > (direction == .toServer ? 400 : 150))
        #expect(unknownCount > 0)
    }

    /// Where the outcome is not known, the same node is asked again: it has the record in the end, once.
    @Test(arguments: [CutProxy.Direction.toServer, .toClient])
    func anUnknownOutcomeIsAskedForAtTheSameNode(direction: CutProxy.Direction) async throws {
        var repeatedCount = 0
        var byteCount = 0
        while true {
            let (hasCut, service, result) = try await Self.put(cutAfter: byteCount, direction, repeating: true)
            let (isStored, putCount) = service.state.withLockedValue { state in
                (state.records[Self.record.request.recordID] != nil, state.putCount)
            }
            switch result {
            case .success(let outcome):
                #expect(isStored, "after \(byteCount) bytes")
                if putCount == 2 {
                    repeatedCount += 1
                    #expect(outcome == .alreadyStored)
                }
            case .failure(let error):
                // Before PUT-COMMIT was sent: nothing has taken effect, and another node may be asked.
                #expect(error.retry == .otherNode, "\(error) after \(byteCount) bytes")
                #expect(!isStored, "\(error) after \(byteCount) bytes")
            }
            guard hasCut else { break }
            byteCount += 1
        }
        if direction == .toClient { #expect(repeatedCount > 0) }
    }

    @Test func whatCannotBeRepeatedIsNotRepeated() async throws {
        let attempts = NIOLockedValueBox(0)
        try await Loopback.run(FakeService()) { loopback in
            try await loopback.withClient { client in
                for (code, expected) in [(ReplicationError.Code.diskFull, 1), (.outcomeUnknown, 3), (.conflict, 1)] {
                    attempts.withLockedValue { $0 = 0 }
                    let error = await failure(of: { () throws(ReplicationError) in
                        try await client.repeating { () async throws(ReplicationError) -> Int in
                            attempts.withLockedValue { $0 += 1 }
                            throw ReplicationError(code, "as told")
                        }
                    })
                    #expect(error?.code == code)
                    #expect(attempts.withLockedValue { $0 } == expected)
                }
            }
        }
    }

    @Test func withoutAConnectionNothingIsRepeated() async throws {
        let attempts = NIOLockedValueBox(0)
        try await Loopback.withClient(port: 1, configuration: Self.configuration) { client in
            let error = await failure(of: { () throws(ReplicationError) in
                try await client.repeating(patience: .milliseconds(1)) { () async throws(ReplicationError) -> Int in
                    attempts.withLockedValue { $0 += 1 }
                    throw ReplicationError(.outcomeUnknown, "as told")
                }
            })
            #expect(error?.code == .outcomeUnknown)
            #expect(attempts.withLockedValue { $0 } == 1)
        }
    }
}
