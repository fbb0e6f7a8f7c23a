// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// What a peer can make the server hold is bounded.
@Suite struct BackPressureTests {
    /// While a request is held up, one more is read; then the peer's bytes stay in the kernel's buffers, and the peer
    /// cannot get all of its own into them.
    @Test func stopsReadingBehindAHeldUpRequest() async throws {
        let gate = Gate()
        let service = TestService(answer: { _ in
            await gate.pass()
            return .success
        })
        try await Serving.run(service) { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate()
            // 64 MB: far more than two data sets and all socket buffers.
            let message = try RawPeer.store(1, pattern(4_000_000))
            let sentCount = NIOLockedValueBox(0)
            let sending = Task {
                for _ in 0..<16 {
                    try await peer.send(message)
                    sentCount.withLockedValue { $0 += 1 }
                }
            }
            await gate.arrival()
            #expect(service.stored.count == 1)
            #expect(sentCount.withLockedValue { $0 } < 16)
            gate.open()
            try await sending.value
            let answers = try await peer.receiveCommands(16)
            #expect(answers.allSatisfy { $0.status == .success })
            #expect(service.stored.count == 16)
            #expect(service.mostRunning == 1)
            try await peer.channel.close()
        }
    }

    /// A peer that asks and asks but never reads is not answered without end.
    @Test func stopsReadingAPeerThatDoesNotRead() async throws {
        try await Serving.run { serving in
            let peer = try await RawPeer.connect(port: serving.port)
            _ = try await peer.associate()
            try await peer.channel.setOption(.autoRead, value: false).get()
            var echoes = ByteBuffer()
            for _ in 0..<500 {
                echoes.writeImmutableBuffer(try RawPeer.message(.echoRequest(messageID: 1), contextID: 3))
            }
            // Written without waiting: what the server does not read, the kernel does not take.
            let batch = echoes
            for _ in 0..<20 {
                peer.channel.write(batch, promise: nil)
            }
            peer.channel.flush()
            try await peer.channel.setOption(.autoRead, value: true).get()
            let answers = try await peer.receiveCommands(10_000)
            #expect(answers.count == 10_000)
            try await peer.channel.close()
            #expect(try await serving.isAlive())
        }
    }
}
