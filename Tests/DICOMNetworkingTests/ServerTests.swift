// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import Foundation
import NIOCore
import Testing

/// Server and client over real sockets.
@Suite struct ServerTests {
    @Test func echoesAndStores() async throws {
        let service = TestService()
        try await Serving.run(service) { serving in
            let association = try await serving.associate(calling: "MODALITY")
            #expect(try await association.echo() == .success)
            for (index, byteCount) in [2, 1000, 131_060, 131_062, 526_000, 3_000_000].enumerated() {
                let response = try await association.storeCT(pattern(byteCount, seed: index), instance: "1.2.\(index)")
                #expect(response == .success)
            }
            try await association.release()
            let stored = service.stored
            #expect(stored.map(\.bytes.readableBytes) == [2, 1000, 131_060, 131_062, 526_000, 3_000_000])
            for (index, instance) in stored.enumerated() {
                #expect(instance.bytes == pattern(instance.bytes.readableBytes, seed: index))
                #expect(instance.request.affectedSOPInstanceUID == "1.2.\(index)")
                #expect(instance.request.transferSyntax == UIDText.explicitVRLittleEndian)
                #expect(instance.callingAETitle == "MODALITY")
            }
        }
    }

    @Test func givesTheServicesStatusAndCommentToThePeer() async throws {
        let service = TestService(answer: { _ in StoreResponse(.cannotUnderstand, errorComment: "not readable") })
        try await Serving.run(service) { serving in
            let association = try await serving.associate()
            let response = try await association.storeCT(pattern(100), instance: "1.2.3")
            #expect(response == StoreResponse(.cannotUnderstand, errorComment: "not readable"))
            try await association.release()
        }
    }

    @Test func servesManyAssociationsAtOnce() async throws {
        let service = TestService()
        try await Serving.run(service) { serving in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for number in 0..<40 {
                    tasks.addTask {
                        let association = try await serving.associate(calling: "SENDER\(number)")
                        for index in 0..<10 {
                            let response = try await association.storeCT(
                                pattern(20_000 + number, seed: index),
                                instance: "1.2.\(number).\(index)"
                            )
                            #expect(response.status.isSuccess)
                        }
                        try await association.release()
                    }
                }
                try await tasks.waitForAll()
            }
            #expect(Set(service.stored.map(\.request.affectedSOPInstanceUID)).count == 400)
            #expect(service.mostRunning == 1)
            #expect(serving.server.associationCount == 0)
        }
    }

    @Test func spoolsWhatIsTooLongForMemory() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("varve-\(UUID())").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let service = TestService()
        try await Serving.run(
            service,
            configure: { configuration in
                configuration.maximumInMemoryDataSetByteCount = 64 << 10
                configuration.maximumSpoolByteCountInFlight = 256 << 10
                configuration.spoolDirectory = directory
            },
            { serving in
                let association = try await serving.associate()
                for (index, byteCount) in [64 << 10, (64 << 10) + 2, 9_000_000, 1000, 2 << 20].enumerated() {
                    let response = try await association.storeCT(
                        pattern(byteCount, seed: index),
                        instance: "1.\(index)"
                    )
                    #expect(response.status.isSuccess)
                }
                try await association.release()
                #expect(service.stored.map(\.isSpooled) == [false, true, true, false, true])
                for (index, instance) in service.stored.enumerated() {
                    #expect(instance.bytes == pattern(instance.bytes.readableBytes, seed: index))
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty)
            }
        )
    }

    @Test func answersOutOfResourcesWhenItCannotSpool() async throws {
        let service = TestService()
        try await Serving.run(
            service,
            configure: { configuration in
                configuration.maximumInMemoryDataSetByteCount = 64 << 10
                configuration.spoolDirectory = "/nonexistent/varve"
            },
            { serving in
                let association = try await serving.associate()
                let refused = try await association.storeCT(pattern(3_000_000), instance: "1.2")
                #expect(refused.status == .outOfResources)
                #expect(try await association.storeCT(pattern(1000), instance: "1.3") == .success)
                try await association.release()
                #expect(service.stored.count == 1)
            }
        )
    }

    @Test func refusesADataSetOverTheLimit() async throws {
        try await Serving.run(
            configure: {
                $0.maximumDataSetByteCount = 100_000; $0.maximumInMemoryDataSetByteCount = 50_000
            },
            { serving in
                let association = try await serving.associate()
                let refused = try await association.storeCT(pattern(300_000), instance: "1.2")
                #expect(refused.status == .outOfResources)
                #expect(try await association.storeCT(pattern(80_000), instance: "1.3") == .success)
                try await association.release()
            }
        )
    }

    @Test func honoursASmallMaximumLength() async throws {
        let service = TestService()
        try await Serving.run(service, configure: { $0.maximumPDULength = 1024 }) { serving in
            let association = try await serving.associate()
            #expect(association.peerInformation.maximumLength == 1024)
            #expect(try await association.storeCT(pattern(100_001), instance: "1.2") == .success)
            try await association.release()
            #expect(service.stored.first?.bytes == pattern(100_001))
        }
    }

    @Test func rejectsAssociationsOverTheLimitAndGivesPlacesBack() async throws {
        try await Serving.run(configure: { $0.maximumAssociations = 2 }) { serving in
            let first = try await serving.associate()
            let second = try await serving.associate()
            do {
                _ = try await serving.associate()
                Issue.record("a third association was accepted")
            } catch let error as DICOMNetworkError {
                #expect(error.code == .rejected)
                #expect(error.rejection == .localLimitExceeded)
            }
            try await first.release()
            let third = try await serving.associate()
            #expect(try await third.echo() == .success)
            try await second.release()
            try await third.release()
        }
    }

    @Test func rejectsByNames() async throws {
        let service = TestService(decide: { request in
            request.callingAETitle.value == "STRANGER" ? .reject(.callingAETitleNotRecognized) : .accept
        })
        try await Serving.run(service) { serving in
            await Self.expectRejection(.callingAETitleNotRecognized) {
                try await serving.associate(calling: "STRANGER")
            }
        }
        try await Serving.run(configure: { $0.acceptsAnyCalledAETitle = false }) { serving in
            await Self.expectRejection(.calledAETitleNotRecognized) {
                try await serving.associate { $0.calledAETitle = (try? AETitle("OTHER")) ?? $0.calledAETitle }
            }
            let isAlive = try await serving.isAlive()
            #expect(isAlive)
        }
    }

    @Test func acceptsOnlyConfiguredStorageClasses() async throws {
        try await Serving.run(
            configure: {
                $0.acceptsUnlistedStorageSOPClasses = false; $0.storageSOPClasses = ["1.2.3.4"]
            },
            { serving in
                let association = try await Serving.client(port: serving.port).connect(
                    contexts: DICOMClient.contexts([
                        (ctStorage, [UIDText.explicitVRLittleEndian]), ("1.2.3.4", [UIDText.explicitVRLittleEndian]),
                    ])
                )
                #expect(association.contexts.accepted.map(\.abstractSyntax) == ["1.2.3.4"])
                do {
                    _ = try await association.storeCT(pattern(10), instance: "1.2")
                    Issue.record("a store without a context went out")
                } catch {
                    #expect((error as? DICOMNetworkError)?.code == .contextNotAccepted)
                }
                try await association.release()
            }
        )
    }

    private static func expectRejection(
        _ rejection: AssociateReject,
        _ connect: () async throws -> DICOMAssociation
    ) async {
        do {
            _ = try await connect()
            Issue.record("the association was accepted")
        } catch {
            #expect((error as? DICOMNetworkError)?.rejection == rejection)
        }
    }
}
