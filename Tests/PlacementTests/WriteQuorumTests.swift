// SPDX-License-Identifier: Apache-2.0

import Placement
import Testing

@Suite struct WriteQuorumTests {
    private static func member(_ number: UInt64, host: String) -> StorageMember {
        StorageMember(
            id: NodeID(high: 0, low: number),
            name: "storage-\(number)",
            host: "127.0.0.1",
            port: Int(number),
            domain: FailureDomain(site: "s", rack: "r", host: host),
            weight: 1,
            state: .up
        )
    }

    private let one = member(1, host: "a")
    private let two = member(2, host: "b")
    private let three = member(3, host: "c")
    private let oneMoreOnA = member(4, host: "a")

    @Test func `writes to the first copies of the ranking and succeeds when all are durable`() {
        var quorum = WriteQuorum(ranking: [one, two, three], copies: 2, acknowledgements: 2)
        #expect(quorum.start() == .put([one.id, two.id]))
        #expect(quorum.acknowledged(two.id, at: .zero) == .put([]))
        #expect(quorum.acknowledged(one.id, at: .zero) == .succeed([two.id, one.id]))
    }

    @Test func `a failed node is replaced by the next in order`() {
        var quorum = WriteQuorum(ranking: [one, two, three], copies: 2, acknowledgements: 2)
        #expect(quorum.start() == .put([one.id, two.id]))
        #expect(quorum.failed(one.id) == .put([three.id]))
        #expect(quorum.acknowledged(two.id, at: .zero) == .put([]))
        #expect(quorum.acknowledged(three.id, at: .zero) == .succeed([two.id, three.id]))
    }

    @Test func `two copies never share a host`() {
        var quorum = WriteQuorum(ranking: [one, oneMoreOnA, two], copies: 2, acknowledgements: 2)
        #expect(quorum.start() == .put([one.id, two.id]))
        #expect(quorum.failed(one.id) == .put([oneMoreOnA.id]))
    }

    @Test func `fails at once when there are too few hosts, and says what is durable`() {
        var quorum = WriteQuorum(ranking: [one, oneMoreOnA], copies: 2, acknowledgements: 2)
        #expect(quorum.start() == .fail(durable: []))

        var later = WriteQuorum(ranking: [one, two], copies: 2, acknowledgements: 2)
        #expect(later.start() == .put([one.id, two.id]))
        #expect(later.acknowledged(one.id, at: .zero) == .put([]))
        #expect(later.failed(two.id) == .fail(durable: [one.id]))
    }

    @Test func `fewer nodes than copies still succeed at the quorum`() {
        var quorum = WriteQuorum(ranking: [one, two], copies: 3, acknowledgements: 2)
        #expect(quorum.start() == .put([one.id, two.id]))
        #expect(quorum.acknowledged(one.id, at: .zero) == .put([]))
        #expect(quorum.acknowledged(two.id, at: .zero) == .succeed([one.id, two.id]))
    }

    @Test func `a slow node is replaced, and whichever answers first counts`() {
        var quorum = WriteQuorum(ranking: [one, two, three], copies: 2, acknowledgements: 2)
        #expect(quorum.start() == .put([one.id, two.id]))
        #expect(quorum.acknowledged(one.id, at: .zero) == .put([]))
        #expect(quorum.slow() == .put([three.id]))
        #expect(quorum.acknowledged(two.id, at: .zero) == .succeed([one.id, two.id]))
        #expect(quorum.acknowledged(three.id, at: .zero) == .put([]))
    }

    @Test func `an answer of a node that was not asked changes nothing`() {
        var quorum = WriteQuorum(ranking: [one, two], copies: 2, acknowledgements: 2)
        #expect(quorum.start() == .put([one.id, two.id]))
        #expect(quorum.acknowledged(three.id, at: .zero) == .put([]))
        #expect(quorum.acknowledged(one.id, at: .zero) == .put([]))
        #expect(quorum.acknowledged(one.id, at: .zero) == .put([]))
        #expect(quorum.acknowledged(two.id, at: .zero) == .succeed([one.id, two.id]))
    }

    @Test func `copies that come too far apart are no success, however many there are`() {
        var quorum = WriteQuorum(ranking: [one, two, three], copies: 2, acknowledgements: 2, spread: .seconds(10))
        #expect(quorum.start() == .put([one.id, two.id]))
        #expect(quorum.acknowledged(one.id, at: .seconds(100)) == .put([]))
        #expect(quorum.acknowledged(two.id, at: .seconds(111)) == .fail(durable: [one.id, two.id]))
        #expect(quorum.isTooLate)

        var later = WriteQuorum(ranking: [one, two, three], copies: 3, acknowledgements: 2, spread: .seconds(10))
        #expect(later.start() == .put([one.id, two.id, three.id]))
        #expect(later.acknowledged(one.id, at: .seconds(100)) == .put([]))
        #expect(later.acknowledged(two.id, at: .seconds(110)) == .put([]))
        // With two of them others have what each could lose.
        #expect(later.acknowledged(three.id, at: .seconds(200)) == .succeed([one.id, two.id, three.id]))
        #expect(!later.isTooLate)
    }
}
