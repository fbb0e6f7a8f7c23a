// SPDX-License-Identifier: Apache-2.0

import Placement
import ReplicationProtocol
import Testing

/// Which orders pass, and when, as transcripts.
struct TermFenceTests {
    private static func stamp(_ term: UInt64, epoch: UInt64 = 10) -> OrderStamp {
        OrderStamp(term: Term(rawValue: term), mapEpoch: MapEpoch(rawValue: epoch))
    }

    private static func position(_ term: UInt64, epoch: UInt64 = 10, isMember: Bool = true) -> FencePosition {
        FencePosition(term: Term(rawValue: term), mapEpoch: MapEpoch(rawValue: epoch), isMember: isMember)
    }

    private static func put(epoch: UInt64, term: UInt64? = nil) -> FenceDemand {
        .addition(term: term.map(Term.init(rawValue:)), mapEpoch: MapEpoch(rawValue: epoch))
    }

    // MARK: - Who passes

    @Test func ordersOfTheTermInForcePass() {
        var fence = TermFence(Self.position(3))
        #expect(fence.enter(.removal(Self.stamp(3))).admission == .admitted)
        #expect(fence.enter(.removal(Self.stamp(3, epoch: 11))).admission == .admitted)
        #expect(fence.enter(Self.put(epoch: 9, term: 3)).admission == .admitted)
        #expect(fence.left() == TermFence.Effects())
        #expect(fence.left() == TermFence.Effects())
    }

    @Test(arguments: [
        FenceDemand.removal(OrderStamp(term: Term(rawValue: 2), mapEpoch: MapEpoch(rawValue: 99))),
        .map(OrderStamp(term: Term(rawValue: 2), mapEpoch: MapEpoch(rawValue: 99)), isMember: true),
        .addition(term: Term(rawValue: 2), mapEpoch: MapEpoch(rawValue: 99)),
    ])
    func ordersOfAnOlderTermAreStale(demand: FenceDemand) {
        var fence = TermFence(Self.position(3))
        let (admission, effects) = fence.enter(demand)
        #expect(admission.refusal?.code == .staleTerm)
        #expect(admission.refusal?.retry == .never)
        #expect(effects == TermFence.Effects())
        #expect(fence.refusal(of: demand)?.code == .staleTerm)
    }

    @Test func whatTakesAwayUnderAnOlderMapIsStale() {
        var fence = TermFence(Self.position(3, epoch: 10))
        #expect(fence.enter(.removal(Self.stamp(3, epoch: 9))).admission.refusal?.code == .staleEpoch)
        #expect(fence.enter(.removal(Self.stamp(4, epoch: 9))).admission.refusal?.code == .staleEpoch)
        #expect(fence.enter(.map(Self.stamp(3, epoch: 9), isMember: true)).admission.refusal?.code == .staleEpoch)
        #expect(fence.position == Self.position(3, epoch: 10))
    }

    @Test func aMemberTakesRecordsUnderAnyMap() {
        var fence = TermFence(Self.position(3, epoch: 10))
        for epoch: UInt64 in [0, 9, 10, 11] { #expect(fence.enter(Self.put(epoch: epoch)).admission == .admitted) }
    }

    @Test func whoHasLeftTheMapTakesNoRecordsUnderAnOlderOne() {
        var fence = TermFence(Self.position(3, epoch: 10, isMember: false))
        let refusal = fence.enter(Self.put(epoch: 9)).admission.refusal
        #expect(refusal?.code == .staleEpoch)
        #expect(refusal?.retry == .later)
        #expect(fence.enter(Self.put(epoch: 9, term: 3)).admission.refusal?.code == .staleEpoch)
        // Whoever knows of a newer map may know that the node has come back.
        #expect(fence.enter(Self.put(epoch: 10)).admission == .admitted)
        #expect(fence.enter(Self.put(epoch: 11)).admission == .admitted)
    }

    @Test func aNodeThatNobodyHasSpokenToTakesEverything() {
        var fence = TermFence(FencePosition())
        #expect(fence.enter(Self.put(epoch: 0)).admission == .admitted)
        #expect(fence.enter(.removal(Self.stamp(0, epoch: 0))).admission == .admitted)
    }

    // MARK: - A new term

    @Test func aNewTermIsDurableBeforeItsFirstOrderGoesOn() {
        var fence = TermFence(Self.position(3))
        let (admission, effects) = fence.enter(.removal(Self.stamp(4)))
        #expect(admission == .waiting(1))
        #expect(effects.persist == Self.position(4))
        #expect(fence.position == Self.position(3))
        let decided = fence.persisted(nil)
        #expect(decided.decided == [.init(ticket: 1, refusal: nil)])
        #expect(fence.position == Self.position(4))
        #expect(fence.enter(.removal(Self.stamp(3))).admission.refusal?.code == .staleTerm)
    }

    @Test func aNewTermWaitsForTheOldOnesRemovals() {
        var fence = TermFence(Self.position(3))
        #expect(fence.enter(.removal(Self.stamp(3))).admission == .admitted)
        #expect(fence.enter(.removal(Self.stamp(3))).admission == .admitted)
        let (admission, effects) = fence.enter(.removal(Self.stamp(4)))
        #expect(admission == .waiting(3))
        #expect(effects == TermFence.Effects())
        // From here on the old coordinator is deposed, although nothing is durable yet.
        #expect(fence.enter(.removal(Self.stamp(3))).admission.refusal?.code == .staleTerm)
        #expect(fence.enter(Self.put(epoch: 10, term: 3)).admission.refusal?.code == .staleTerm)
        // Puts of ingest nodes know no term and go on.
        #expect(fence.enter(Self.put(epoch: 10)).admission == .admitted)
        #expect(fence.left() == TermFence.Effects())
        #expect(fence.left().persist == Self.position(4))
        #expect(fence.persisted(nil).decided == [.init(ticket: 3, refusal: nil)])
        #expect(fence.left() == TermFence.Effects())
    }

    @Test func aStillNewerTermOvertakesOneThatWaits() {
        var fence = TermFence(Self.position(3))
        #expect(fence.enter(.removal(Self.stamp(3))).admission == .admitted)
        #expect(fence.enter(.removal(Self.stamp(4))).admission == .waiting(2))
        #expect(fence.enter(.removal(Self.stamp(5))).admission == .waiting(3))
        #expect(fence.left().persist == Self.position(5))
        let effects = fence.persisted(nil)
        #expect(effects.decided.map(\.ticket) == [2, 3])
        #expect(effects.decided.map { $0.refusal?.code } == [.staleTerm, nil])
        #expect(effects.persist == nil)
    }

    @Test func aStillNewerTermFollowsOneThatIsBeingWritten() {
        var fence = TermFence(Self.position(3))
        #expect(fence.enter(.removal(Self.stamp(4))).effects.persist == Self.position(4))
        let (admission, effects) = fence.enter(.removal(Self.stamp(5)))
        #expect(admission == .waiting(2))
        #expect(effects == TermFence.Effects())
        // The order of term 4 was there first: it is carried out, and waited for.
        let first = fence.persisted(nil)
        #expect(first.decided == [.init(ticket: 1, refusal: nil)])
        #expect(first.persist == nil)
        #expect(fence.left().persist == Self.position(5))
        #expect(fence.persisted(nil).decided == [.init(ticket: 2, refusal: nil)])
        #expect(fence.position == Self.position(5))
    }

    @Test func aTermThatCannotBeWrittenIsNotInForce() {
        var fence = TermFence(Self.position(3))
        #expect(fence.enter(.removal(Self.stamp(4))).admission == .waiting(1))
        let failure = ReplicationError(.diskFailed, "no")
        #expect(fence.persisted(failure).decided == [.init(ticket: 1, refusal: failure)])
        #expect(fence.position == Self.position(3))
        #expect(fence.enter(.removal(Self.stamp(3))).admission == .admitted)
    }

    // MARK: - Maps

    @Test func aMapIsDurableBeforeItIsAnswered() {
        var fence = TermFence(Self.position(3))
        let (admission, effects) = fence.enter(.map(Self.stamp(4, epoch: 12), isMember: false))
        #expect(admission == .waiting(1))
        #expect(effects.persist == Self.position(4, epoch: 12, isMember: false))
        // Known already, though not durable: nothing may be taken that would be looked for elsewhere.
        #expect(fence.enter(Self.put(epoch: 10)).admission.refusal?.code == .staleEpoch)
        #expect(fence.persisted(nil).decided == [.init(ticket: 1, refusal: nil)])
        #expect(fence.enter(.map(Self.stamp(4, epoch: 12), isMember: false)).admission == .admitted)
        #expect(fence.enter(.removal(Self.stamp(4, epoch: 11))).admission.refusal?.code == .staleEpoch)
    }

    @Test func aNodeMayComeBack() {
        var fence = TermFence(Self.position(3, epoch: 12, isMember: false))
        let effects = fence.enter(.map(Self.stamp(3, epoch: 13), isMember: true)).effects
        #expect(effects.persist == Self.position(3, epoch: 13))
        #expect(fence.persisted(nil).decided.map(\.refusal) == [nil])
        #expect(fence.enter(Self.put(epoch: 12)).admission == .admitted)
    }

    // MARK: - What messages claim

    @Test func messagesClaimWhatTheyDo() {
        let stamp = Samples.stamp
        #expect(Message.purgePermit(Samples.purge).fenceDemand == .removal(stamp))
        #expect(Message.removePack(Samples.removePack).fenceDemand == .removal(stamp))
        #expect(Message.drop(Samples.drop).fenceDemand == .removal(stamp))
        #expect(Message.healed(HealedRequest(stamp: stamp, reconciled: nil)).fenceDemand == .removal(stamp))
        #expect(Message.pull(Samples.pull).fenceDemand == .addition(term: stamp.term, mapEpoch: stamp.mapEpoch))
        let addition = FenceDemand.addition(term: stamp.term, mapEpoch: stamp.mapEpoch)
        #expect(Message.buildPack(Samples.buildPack).fenceDemand == addition)
        #expect(Message.verifyPack(Samples.verifyPack).fenceDemand == addition)
        #expect(Message.recall(Samples.recall).fenceDemand == addition)
        let hold = AmendRequest(Samples.amendment(), stamp)
        #expect(Message.amend(hold).fenceDemand == .addition(term: nil, mapEpoch: stamp.mapEpoch))
        let note = AmendRequest(Samples.amendment(.firstOther), stamp)
        #expect(Message.amend(note).fenceDemand == .addition(term: nil, mapEpoch: stamp.mapEpoch))
        for kind in [RecordAmendment.Kind.tombstone, .undelete, .release, .init(rawValue: 15)] {
            let removal = AmendRequest(Samples.amendment(kind), stamp)
            #expect(Message.amend(removal).fenceDemand == .removal(stamp))
        }
        #expect(Message.status(timeoutMilliseconds: 0).fenceDemand == nil)
        let get = GetRequest(recordID: Samples.record(9), range: nil, credit: 1, timeoutMilliseconds: 0)
        #expect(Message.get(get).fenceDemand == nil)
    }
}

extension TermFence.Admission {
    fileprivate var refusal: ReplicationError? {
        if case .refused(let error) = self { error } else { nil }
    }
}
