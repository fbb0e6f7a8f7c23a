// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// A data set that goes to a file is worked on while it arrives.
@Suite struct ArrivalTests {
    private static let byteCount = 3_000_000
    private static let whole = pattern(byteCount)

    private static func limit(_ configuration: inout DICOMServerConfiguration) {
        configuration.maximumInMemoryDataSetByteCount = 1 << 16
    }

    /// What a peer sends first, and then: the cut lies well within the data set.
    private static func halves() throws -> (ByteBuffer, ByteBuffer) {
        let message = try RawPeer.store(1, whole)
        let cut = 1_500_000
        return (
            ByteBuffer(message.readableBytesView.prefix(cut)), ByteBuffer(message.readableBytesView.dropFirst(cut))
        )
    }

    @Test("the service reads the first half before the second is sent")
    func readsWhileItArrives() async throws {
        let gate = Gate()
        let service = TestService(takeSpooled: { dataSet in
            do {
                let first = try await dataSet.read(0..<1_000_000)
                guard first == Self.whole.getSlice(at: 0, length: 1_000_000) else { return .init(.processingFailure) }
                await gate.pass()
                let count = try await dataSet.byteCount()
                let all = try await dataSet.read(0..<count)
                await #expect(throws: DICOMNetworkError.self) { try await dataSet.read(0..<count + 1) }
                return all == Self.whole ? .success : .init(.processingFailure)
            } catch {
                return .init(.cannotUnderstand)
            }
        })
        try await Serving.run(service, configure: Self.limit) { serving in
            let (first, second) = try Self.halves()
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate()
            try await peer.send(first)
            await gate.arrival()
            gate.open()
            try await peer.send(second)
            let answers = try await peer.receiveCommands(1)
            #expect(answers.map(\.status) == [.success])
            try await peer.channel.close()
        }
    }

    @Test("an early answer waits for the end of the data set, and the association goes on")
    func answersEarly() async throws {
        let gate = Gate()
        gate.open()
        let service = TestService(takeSpooled: { _ in
            await gate.pass()
            return .init(.cannotUnderstand)
        })
        try await Serving.run(service, configure: Self.limit) { serving in
            let (first, second) = try Self.halves()
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate()
            try await peer.send(first)
            await gate.arrival()
            try await peer.send(second)
            try await peer.send(try RawPeer.message(.echoRequest(messageID: 2), contextID: 3))
            let answers = try await peer.receiveCommands(2)
            #expect(answers.map(\.status) == [.cannotUnderstand, .success])
            try await peer.channel.close()
        }
    }

    @Test("a data set whose sender goes away ends with an error", arguments: [false, true])
    func endsWithTheAssociation(isAborted: Bool) async throws {
        let failed = Gate()
        let codes = NIOLockedValueBox([DICOMNetworkError.Code]())
        failed.open()
        let service = TestService(takeSpooled: { dataSet in
            do throws(DICOMNetworkError) {
                _ = try await dataSet.byteCount()
            } catch {
                codes.withLockedValue { $0.append(error.code) }
            }
            await failed.pass()
            return .success
        })
        try await Serving.run(service, configure: Self.limit) { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate()
            // The command's PDU and 90 whole PDUs of the data set.
            let command = CommandSet.storeRequest(messageID: 1, sopClassUID: ctStorage, sopInstanceUID: "1.2.3.1")
            let boundary = try RawPeer.message(command).readableBytes + 90 * (16384 + PDU.headerByteCount)
            try await peer.send(ByteBuffer(try RawPeer.store(1, Self.whole).readableBytesView.prefix(boundary)))
            if isAborted {
                try await peer.send(.abort(.byServiceUser))
            } else {
                try await peer.channel.close()
            }
            await failed.arrival()
            #expect(codes.withLockedValue { $0 } == [.closed])
            #expect(try await serving.isAlive())
        }
    }

    @Test("half a data set and then silence is an idle association")
    func abortsASilentSender() async throws {
        let service = TestService(takeSpooled: { dataSet in
            (try? await dataSet.byteCount()) == nil ? .init(.processingFailure) : .success
        })
        try await Serving.run(
            service,
            configure: {
                Self.limit(&$0)
                $0.idleTimeout = .milliseconds(50)
            },
            { serving in
                let peer = try await RawPeer.connect(port: serving.port)
                _ = try await peer.associate()
                try await peer.send(try Self.halves().0)
                #expect(try await peer.receivePDU() == .abort(.byServiceUser))
                try await peer.channel.close()
            }
        )
    }
}
