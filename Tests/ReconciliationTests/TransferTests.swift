// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Testing

@Suite struct TransferTests {
    private let nodes = (1...4).map { NodeID.sample($0) }

    @Test func `a node gives and takes so many copies at once`() {
        var slots = TransferSlots(maximumPerNode: 2)
        slots.idle = Set(nodes)
        #expect(slots.take(target: nodes[0], sources: [nodes[1], nodes[2]]) == nodes[1])
        #expect(slots.take(target: nodes[0], sources: [nodes[1], nodes[2]]) == nodes[2], "the less busy one")
        #expect(slots.take(target: nodes[0], sources: [nodes[3]]) == nil, "the target has its two")
        #expect(!slots.isOpen(target: nodes[0]) && slots.isOpen(target: nodes[1]))
        #expect(
            slots.take(target: nodes[3], sources: [nodes[0]]) == nodes[0],
            "what it takes does not keep it from giving"
        )
        #expect(slots.take(target: nodes[3], sources: [nodes[1]]) == nodes[1])
        #expect(slots.take(target: nodes[2], sources: [nodes[1]]) == nil, "the source gives its two")
        #expect(slots.count(at: nodes[0]) == 3 && slots.count(at: nodes[1]) == 2)
        slots.giveBack(target: nodes[0], source: nodes[1])
        #expect(slots.count(at: nodes[0]) == 2 && slots.count(at: nodes[1]) == 1)
        #expect(slots.take(target: nodes[2], sources: [nodes[1]]) == nodes[1])
        #expect(slots.take(target: nodes[2], sources: []) == nil)
    }

    @Test func `a node that serves somebody gives and takes a quarter`() {
        var slots = TransferSlots(maximumPerNode: 8)
        slots.idle = [nodes[0], nodes[1]]
        for _ in 0..<2 { #expect(slots.take(target: nodes[2], sources: [nodes[0]]) == nodes[0]) }
        #expect(slots.take(target: nodes[2], sources: [nodes[0]]) == nil, "the target has its two")
        for _ in 0..<2 { #expect(slots.take(target: nodes[0], sources: [nodes[3]]) == nodes[3]) }
        #expect(slots.take(target: nodes[0], sources: [nodes[3]]) == nil, "the source gives its two")
        for _ in 0..<6 { #expect(slots.take(target: nodes[0], sources: [nodes[1]]) == nodes[1]) }
        #expect(!slots.isOpen(target: nodes[0]), "eight")
        // It serves again: what is under way ends, and little begins.
        slots.idle = []
        for _ in 0..<6 { slots.giveBack(target: nodes[0], source: nodes[1]) }
        #expect(!slots.isOpen(target: nodes[0]), "two are left")
        slots.giveBack(target: nodes[0], source: nodes[3])
        #expect(slots.isOpen(target: nodes[0]))
        var least = TransferSlots(maximumPerNode: 1)
        #expect(least.take(target: nodes[0], sources: [nodes[1]]) == nodes[1], "at least one")
    }

    @Test func `bytes are spread over time for each node that takes them`() {
        var pacing = TransferPacing(bytesPerSecond: 1000)
        let start = Duration.seconds(50)
        #expect(pacing.reserve(byteCount: 500, at: nodes[0], now: start) == .zero)
        #expect(pacing.reserve(byteCount: 2000, at: nodes[0], now: start) == .milliseconds(500))
        #expect(pacing.reserve(byteCount: 1, at: nodes[1], now: start) == .zero)
        #expect(pacing.reserve(byteCount: 10, at: nodes[0], now: start + .seconds(1)) == .milliseconds(1500))
        #expect(
            pacing.reserve(byteCount: 10, at: nodes[0], now: start + .seconds(60)) == .zero,
            "what is not used is gone"
        )
        var unlimited = TransferPacing(bytesPerSecond: 0)
        for _ in 0..<3 { #expect(unlimited.reserve(byteCount: 1 << 40, at: nodes[0], now: start) == .zero) }
    }

    @Test func `the rate is that of the last minute`() {
        var rate = TransferRate()
        #expect(rate.perSecond == (0, 0))
        rate.note(itemCount: 100, byteCount: 1000, at: .seconds(10))
        #expect(rate.perSecond == (0, 0))
        rate.note(itemCount: 120, byteCount: 3000, at: .seconds(20))
        #expect(rate.perSecond == (2, 200))
        for second in 3...20 { rate.note(itemCount: 120, byteCount: 3000, at: .seconds(second * 10)) }
        #expect(rate.perSecond == (0, 0))
    }

    @Test func `pauses double until a person has to look`() {
        var backOff = RepairBackOff()
        #expect((1...3).map { backOff.pause(afterAttempts: $0) } == [.seconds(60), .seconds(120), .seconds(240)])
        #expect(backOff.pause(afterAttempts: 7) == .seconds(3840))
        #expect(backOff.pause(afterAttempts: 8) == nil)
        backOff.maximumAttempts = 100
        #expect(backOff.pause(afterAttempts: 99) == .seconds(3840))
    }
}
