// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import PixelCodecs
import Testing

@Suite struct CodecPoolTests {
    private let format = PixelFormat(rows: 64, columns: 65, bitsAllocated: 16, bitsStored: 12)

    @Test("many tasks at once: every frame comes back as it went in")
    func load() async throws {
        let pool = CodecPool(threadCount: 3, queueLimit: 1_000)
        defer { pool.shutdown() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let codec = PixelCodec.encoders[number % 2]
                    let frame = format.makeFrame(.smooth, stream: UInt64(number))
                    let encoded = try await pool.encode(frame, format: format, codec: codec)
                    #expect(try await pool.prove(encoded, equals: frame, format: format, codec: codec))
                    #expect(try await pool.decode(encoded, format: format, codec: codec) == frame)
                }
            }
            try await group.waitForAll()
        }
        #expect(pool.waitingCount == 0)
    }

    @Test("the proof of a frame follows its encoding", arguments: PixelCodec.encoders)
    func proofs(codec: PixelCodec) async throws {
        let pool = CodecPool(threadCount: 2, queueLimit: 8)
        defer { pool.shutdown() }
        let frame = format.makeFrame(.smooth, stream: 7)
        let encoding = pool.startEncoding(frame, format: format, codec: codec)
        let encoded = try await encoding.bytes.value()
        #expect(try await encoding.proof.value())
        #expect(try await pool.decode(encoded, format: format, codec: codec) == frame)

        // A frame that cannot be encoded has no proof, and neither has one that the pool turned away.
        let failed = pool.startEncoding(ByteBuffer(), format: format, codec: codec)
        await #expect(throws: CodecError.self) { try await failed.bytes.value() }
        await #expect(throws: CodecError.self) { try await failed.proof.value() }
        pool.shutdown()
        let late = pool.startEncoding(frame, format: format, codec: codec)
        await #expect { try await late.bytes.value() } throws: { ($0 as? CodecError)?.code == .shutDown }
        await #expect { try await late.proof.value() } throws: { ($0 as? CodecError)?.code == .shutDown }
    }

    @Test("errors come back as they are")
    func errors() async throws {
        let pool = CodecPool(threadCount: 1, queueLimit: 4)
        defer { pool.shutdown() }
        await #expect { try await pool.decode(ByteBuffer(), format: format, codec: .jpegLS) } throws: {
            ($0 as? CodecError)?.code == .corruptStream
        }
        struct Mine: Error {}
        await #expect(throws: Mine.self) { try await pool.run { throw Mine() } }
        #expect(try await pool.run { 40 + 2 } == 42)
    }

    @Test("the queue is bounded, and a full one turns work away")
    func full() async throws {
        let pool = CodecPool(threadCount: 1, queueLimit: 2)
        defer { pool.shutdown() }
        let gate = Gate()
        async let running: Void = pool.run { gate.enterAndWait() }
        await gate.waitUntilEntered()
        async let first = pool.run { 1 }
        async let second = pool.run { 2 }
        while pool.waitingCount < 2 { await Task.yield() }
        await #expect { try await pool.run { 3 } } throws: { ($0 as? CodecError)?.code == .queueFull }
        gate.open()
        try await running
        #expect(try await first + second == 3)
        #expect(try await pool.run { 4 } == 4)
    }

    @Test("shutdown fails what waits, lets what runs finish, and turns away the rest")
    func shutdown() async throws {
        let pool = CodecPool(threadCount: 1, queueLimit: 8)
        let gate = Gate()
        async let running = pool.run {
            gate.enterAndWait()
            return 1
        }
        await gate.waitUntilEntered()
        let waiting = (0..<4).map { _ in Task { try await pool.run { 2 } } }
        while pool.waitingCount < 4 { await Task.yield() }
        // Shutting down waits for the running job, so it needs a thread of its own; the jobs that wait fail at once.
        let ended = Task.detached { pool.shutdown() }
        for task in waiting {
            await #expect { try await task.value } throws: { ($0 as? CodecError)?.code == .shutDown }
        }
        gate.open()
        #expect(try await running == 1)
        await ended.value
        await #expect { try await pool.run { 3 } } throws: { ($0 as? CodecError)?.code == .shutDown }
        pool.shutdown()
    }

    @Test("a pool that ends itself from within, and one that is only let go")
    func fromWithin() async throws {
        let pool = CodecPool(threadCount: 2, queueLimit: 2)
        try await pool.run { pool.shutdown() }
        let other = CodecPool(threadCount: 2, queueLimit: 2)
        #expect(try await other.run { 5 } == 5)
    }
}

/// Holds a codec thread in a job until the test says so.
private final class Gate: Sendable {
    private let entered = ConditionLock(value: false)
    private let opened = ConditionLock(value: false)

    func enterAndWait() {
        entered.lock()
        entered.unlock(withValue: true)
        opened.lock(whenValue: true)
        opened.unlock()
    }

    func waitUntilEntered() async {
        while !entered.value { await Task.yield() }
    }

    func open() {
        opened.lock()
        opened.unlock(withValue: true)
    }
}
