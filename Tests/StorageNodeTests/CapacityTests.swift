// SPDX-License-Identifier: Apache-2.0

import Glibc
import ReplicationProtocol
import ReplicationTransport
import StorageNode
import Testing

/// What a node says of its capacity.
@Suite(.timeLimit(.minutes(5)))
struct CapacityTests {
    @Test func `a file system is counted once, however many disks are on it`() async throws {
        try await Place.with { place in
            let one = try place.open(1)
            let capacity = one.capacityByteCount
            var space = statvfs()
            #expect(statvfs(place.root, &space) == 0)
            #expect(capacity == UInt64(space.f_blocks) * UInt64(space.f_frsize) && capacity > 0)
            await one.close()
            try await place.serve(try place.open(3)) { node in
                #expect(node.store.disks.count == 3 && node.store.capacityByteCount == capacity)
                let status = try await node.client.status()
                #expect(status.capacity?.byteCount == capacity)
                #expect(status.capacity?.weight == UInt32(clamping: max(1, capacity >> 30)))
                #expect(status.scrub != nil)
            }
        }
    }

    @Test(arguments: [0, 7, UInt32.max])
    func `what the operator has set is said in place of the capacity`(weight: UInt32) async throws {
        try await Place.with { place in
            try await place.serve(try place.open(1), weight: weight) { node in
                let capacity = try #require(try await node.client.status().capacity)
                #expect(capacity.weight == weight && capacity.byteCount > 0)
            }
        }
    }
}
