// SPDX-License-Identifier: Apache-2.0

import Coordinator
import Placement
import Testing

@Suite struct NodeHealthTests {
    @Test func `a node is suspect until it has answered, and down when it never does`() {
        let health = NodeHealth(nowMilliseconds: 1_000)
        #expect(health.state(nowMilliseconds: 1_000) == .suspect)
        #expect(health.state(nowMilliseconds: 20_999) == .suspect)
        #expect(health.state(nowMilliseconds: 21_000) == .down)
    }

    @Test func `silence makes a node suspect after 5 s and down after 20 s`() {
        var health = NodeHealth(nowMilliseconds: 0)
        health.answered(nowMilliseconds: 10_000)
        #expect(health.state(nowMilliseconds: 14_999) == .up)
        #expect(health.state(nowMilliseconds: 15_000) == .suspect)
        #expect(health.state(nowMilliseconds: 29_999) == .suspect)
        #expect(health.state(nowMilliseconds: 30_000) == .down)
        health.answered(nowMilliseconds: 31_000)
        #expect(health.state(nowMilliseconds: 31_000) == .up)
    }

    @Test func `a clock that goes backwards is no silence`() {
        var health = NodeHealth(nowMilliseconds: 100_000)
        health.answered(nowMilliseconds: 100_000)
        #expect(health.state(nowMilliseconds: 50_000) == .up)
    }

    @Test(arguments: [
        ("storage-1=127.0.0.1:7042", "storage-1", "127.0.0.1:7042"), ("a=[::1]:1", "a", "[::1]:1"),
        ("n=host.example:65535", "n", "host.example:65535"),
    ])
    func `a named node is read from the configuration`(text: String, name: String, address: String) throws {
        let node = try #require(NamedNode(text))
        #expect(node.name == name)
        #expect(node.address.description == address)
    }

    @Test(arguments: ["", "a", "=h:1", "a=h", "a=h:", "a=:1", "a=h:0", "a=h:65536", "a=h:x"])
    func `what is not a named node is refused`(text: String) {
        #expect(NamedNode(text) == nil)
    }
}
