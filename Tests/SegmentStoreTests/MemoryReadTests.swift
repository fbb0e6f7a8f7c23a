// SPDX-License-Identifier: Apache-2.0

import CPlatform
import Glibc
import NIOCore
import Placement
import SegmentStore
import Testing

/// Reads on the caller's thread, from what is in memory.
@Suite struct MemoryReadTests {
    /// Whether each of the next reads is tried.
    private func tries(_ policy: inout MemoryReadPolicy, _ count: Int) -> [Bool] {
        (0..<count).map { _ in policy.mayTry() }
    }

    @Test func triesInVainGetRarerAndSuccessBringsThemBack() {
        var policy = MemoryReadPolicy()
        for wanted in [1, 2, 4, 8, 16, 32, 64, 64] {
            #expect(tries(&policy, 1) == [true])
            policy.ended(found: false, waited: false)
            #expect(tries(&policy, wanted) == Array(repeating: false, count: wanted))
        }
        #expect(tries(&policy, 1) == [true])
        policy.ended(found: true, waited: false)
        #expect(tries(&policy, 2) == [true, true])
    }

    @Test(arguments: [true, false])
    func afterOneThatWaitedForTheDiskManyGoToTheReadingThreads(found: Bool) {
        var policy = MemoryReadPolicy()
        policy.ended(found: found, waited: true)
        // It ran beside the one that waited.
        policy.ended(found: true, waited: false)
        let count = MemoryReadPolicy.waitSkipCount
        #expect(tries(&policy, count + 1) == Array(repeating: false, count: count) + [true])
    }

    @Test func whatIsInMemoryIsCheckedLikeAnyOtherBytes() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let record = try Fixture.record(1, byteCount: 200_000)
        _ = try await store.append(record)
        let path = directory.path + "/segments/0000000000000001.seg"
        let view = store.view
        // The first read brings it into memory, where the file system has such a thing.
        _ = try await store.read(record.id)
        let isPossible = canReadCached(path)
        let opened = view.openInMemory(record.id, range: 0..<UInt64.max, limit: 1 << 20)
        #expect(opened?.bytes == (isPossible ? record.payload : nil))
        #expect(view.headInMemory(record.id)?.payloadByteCount == (isPossible ? 200_000 : nil))
        let part = view.openInMemory(record.id, range: 70_000..<70_010, limit: 1 << 20)
        #expect(part?.bytes == (isPossible ? record.payload.getSlice(at: 70_000, length: 10) : nil))
        #expect(try await store.open(record.id, range: 0..<UInt64.max, limit: 1 << 20)?.bytes == record.payload)

        flipByte(path, at: 4096 + 280 + 100_000)
        #expect(view.openInMemory(record.id, range: 0..<UInt64.max, limit: 1 << 20) == nil)
        await #expect(throws: SegmentStoreError.self) {
            _ = try await store.open(record.id, range: 0..<UInt64.max, limit: 1 << 20)
        }
        #expect(store.status.quarantinedRanges.count == 1)
        #expect(view.openInMemory(try Fixture.record(2).id, range: 0..<10, limit: 10) == nil)
        #expect(view.headInMemory(try Fixture.record(2).id) == nil)
        await store.close()
    }

    @Test func readsAndClosingMayMeet() async throws {
        for _ in 0..<20 {
            let directory = try TemporaryDirectory()
            let store = try Fixture.open(directory)
            let record = try Fixture.record(1, byteCount: 1000)
            _ = try await store.append(record)
            _ = try await store.read(record.id)
            await withTaskGroup(of: Void.self) { tasks in
                for _ in 0..<4 {
                    tasks.addTask {
                        for _ in 0..<200 {
                            let opened = try? await store.open(record.id, range: 0..<UInt64.max, limit: 1 << 20)
                            if let opened { #expect(opened.bytes == record.payload) }
                        }
                    }
                }
                tasks.addTask { await store.close() }
            }
        }
    }

    private func canReadCached(_ path: String) -> Bool {
        let descriptor = Glibc.open(path, O_RDONLY)
        defer { Glibc.close(descriptor) }
        var byte: UInt8 = 0
        return varve_file_read_cached(descriptor, &byte, 1, 4096) == 1
    }

    private func flipByte(_ path: String, at offset: Int) {
        let descriptor = Glibc.open(path, O_RDWR)
        defer { Glibc.close(descriptor) }
        var byte: UInt8 = 0
        #expect(pread(descriptor, &byte, 1, off_t(offset)) == 1)
        byte ^= 1
        #expect(pwrite(descriptor, &byte, 1, off_t(offset)) == 1)
    }
}
