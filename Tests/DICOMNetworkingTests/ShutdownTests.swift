// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOCore
import Testing

@Suite struct ShutdownTests {
    @Test func letsARunningRequestFinish() async throws {
        let gate = Gate()
        let service = TestService(answer: { _ in
            await gate.pass()
            return .success
        })
        try await Serving.run(service) { serving in
            let busy = try await serving.associate()
            let idle = try await serving.associate()
            async let response = busy.storeCT(pattern(1000), instance: "1.2")
            await gate.arrival()
            async let shutdown: Void = serving.server.shutdown(gracePeriod: .seconds(60))
            // The idle association is aborted at once, so its next request fails.
            await #expect(throws: DICOMNetworkError.self) {
                while true {
                    _ = try await idle.echo()
                }
            }
            gate.open()
            #expect(try await response == .success)
            await shutdown
            #expect(serving.server.connectionCount == 0)
            #expect(serving.server.runningRequestCount == 0)
            await #expect(throws: DICOMNetworkError.self) { try await serving.associate() }
        }
    }

    @Test func cancelsWhatOutlastsTheGracePeriod() async throws {
        let gate = Gate()
        let service = TestService(answer: { _ in
            await gate.pass()
            // Ends by cancellation only.
            try? await Task.sleep(for: .seconds(3600))
            return StoreResponse(.processingFailure)
        })
        gate.open()
        try await Serving.run(service) { serving in
            let association = try await serving.associate()
            async let response = association.storeCT(pattern(1000), instance: "1.2")
            await gate.arrival()
            await serving.server.shutdown(gracePeriod: .milliseconds(1))
            #expect(serving.server.runningRequestCount == 0)
            do {
                _ = try await response
                Issue.record("a cancelled request was answered")
            } catch {
                #expect((error as? DICOMNetworkError)?.code == .aborted)
            }
        }
    }

    @Test func refusesAPortInUse() async throws {
        try await Serving.run { serving in
            do {
                try await Serving.run(configure: { $0.port = serving.port }) { _ in }
                Issue.record("two servers share a port")
            } catch let error as DICOMNetworkError {
                #expect(error.code == .bindFailed)
            }
        }
    }
}
