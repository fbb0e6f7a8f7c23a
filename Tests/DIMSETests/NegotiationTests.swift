// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Testing

@Suite struct NegotiationTests {
    private static let ct = "1.2.840.10008.5.1.4.1.1.2"
    private static let explicit = "1.2.840.10008.1.2.1"
    private static let implicit = "1.2.840.10008.1.2"
    private static let jpegLS = "1.2.840.10008.1.2.4.80"

    private let policy = NegotiationPolicy(
        transferSyntaxes: [explicit, jpegLS, implicit],
        acceptsAbstractSyntax: { [ct, UIDText.verification].contains($0) }
    )

    private func answer(_ contexts: (UInt8, String, [String])...) -> [ContextResult] {
        self.policy.answer(
            contexts.map { ProposedContext(id: $0.0, abstractSyntax: $0.1, transferSyntaxes: $0.2) }
        )
    }

    @Test func choosesByOurPreferenceWithinAContext() {
        let results = self.answer((1, Self.ct, [Self.implicit, Self.jpegLS, Self.explicit]))
        #expect(results == [ContextResult(id: 1, result: .acceptance, transferSyntax: Self.explicit)])
    }

    @Test func answersEachContextOfOneSOPClassForItself() {
        let results = self.answer(
            (1, Self.ct, [Self.implicit]),
            (3, Self.ct, [Self.jpegLS]),
            (5, Self.ct, ["1.2.3.4"])
        )
        #expect(results.map(\.result) == [.acceptance, .acceptance, .transferSyntaxesNotSupported])
        #expect(results.prefix(2).map(\.transferSyntax) == [Self.implicit, Self.jpegLS])
    }

    @Test func rejectsWhatItDoesNotKnow() {
        let results = self.answer(
            (1, "1.2.3", [Self.explicit]),
            (3, "", [Self.explicit]),
            (5, Self.ct, []),
            (4, Self.ct, [Self.explicit]),
            (0, Self.ct, [Self.explicit])
        )
        #expect(
            results.map(\.result) == [
                .abstractSyntaxNotSupported, .abstractSyntaxNotSupported, .transferSyntaxesNotSupported, .noReason,
                .noReason,
            ]
        )
    }

    @Test func answersARepeatedIDOnce() {
        let proposed = [
            ProposedContext(id: 1, abstractSyntax: Self.ct, transferSyntaxes: [Self.explicit]),
            ProposedContext(id: 1, abstractSyntax: UIDText.verification, transferSyntaxes: [Self.implicit]),
        ]
        let results = self.policy.answer(proposed)
        #expect(results == [ContextResult(id: 1, result: .acceptance, transferSyntax: Self.explicit)])
        let negotiated = NegotiatedContexts(proposed: proposed, results: results)
        #expect(negotiated[1]?.abstractSyntax == Self.ct)
        #expect(negotiated.accepted.count == 1)
    }

    @Test func acceptsAtMost128Contexts() {
        let proposed = (0..<256).map { index in
            ProposedContext(id: UInt8(index), abstractSyntax: Self.ct, transferSyntaxes: [Self.explicit])
        }
        let results = self.policy.answer(proposed)
        #expect(results.filter { $0.result == .acceptance }.count == 128)
        #expect(NegotiatedContexts(proposed: proposed, results: results).accepted.count == 128)
    }

    @Test func answersRolesOfAcceptedClassesOnly() {
        let proposed = [
            ProposedContext(id: 1, abstractSyntax: Self.ct, transferSyntaxes: [Self.explicit]),
            ProposedContext(id: 3, abstractSyntax: "1.2.3", transferSyntaxes: [Self.explicit]),
        ]
        let results = self.policy.answer(proposed)
        let roles = [
            RoleSelection(sopClassUID: Self.ct, isSCU: true, isSCP: true),
            RoleSelection(sopClassUID: Self.ct, isSCU: false, isSCP: true),
            RoleSelection(sopClassUID: "1.2.3", isSCU: true, isSCP: true),
        ]
        #expect(
            self.policy.answer(roles, proposed: proposed, results: results)
                == [RoleSelection(sopClassUID: Self.ct, isSCU: true, isSCP: false)]
        )
        var retrieving = self.policy
        retrieving.allowsRequestorSCP = { _ in true }
        #expect(
            retrieving.answer(roles, proposed: proposed, results: results)
                == [RoleSelection(sopClassUID: Self.ct, isSCU: true, isSCP: true)]
        )
        #expect(self.policy.answer([], proposed: proposed, results: results).isEmpty)
    }

    @Test func trustsNoAnswerThatWasNotProposed() {
        let proposed = [ProposedContext(id: 1, abstractSyntax: Self.ct, transferSyntaxes: [Self.explicit])]
        let negotiated = NegotiatedContexts(
            proposed: proposed,
            results: [
                ContextResult(id: 3, result: .acceptance, transferSyntax: Self.explicit),
                ContextResult(id: 1, result: .acceptance, transferSyntax: Self.jpegLS),
            ]
        )
        #expect(negotiated.accepted.isEmpty)
        #expect(negotiated[1] == nil)
    }

    @Test func findsAContextByClassAndSyntax() {
        let proposed = [
            ProposedContext(id: 1, abstractSyntax: Self.ct, transferSyntaxes: [Self.explicit]),
            ProposedContext(id: 3, abstractSyntax: Self.ct, transferSyntaxes: [Self.jpegLS]),
        ]
        let negotiated = NegotiatedContexts(proposed: proposed, results: self.policy.answer(proposed))
        #expect(negotiated.context(abstractSyntax: Self.ct, transferSyntax: Self.jpegLS)?.id == 3)
        #expect(negotiated.context(abstractSyntax: Self.ct, transferSyntax: nil)?.id == 1)
        #expect(negotiated.context(abstractSyntax: Self.ct, transferSyntax: Self.implicit) == nil)
    }
}
