// SPDX-License-Identifier: Apache-2.0

/// What an acceptor takes: the answer to each proposed presentation context and role.
public struct NegotiationPolicy: Sendable {
    /// Whether a SOP class is supported, by its UID.
    public var acceptsAbstractSyntax: @Sendable (String) -> Bool
    /// Supported transfer syntaxes, the best first.
    public var transferSyntaxes: [String]
    /// Transfer syntaxes for SOP classes without pixel data (Verification, Query/Retrieve, Storage Commitment).
    public var nonStorageTransferSyntaxes: [String]
    /// Whether the requestor may take the SCP role for a SOP class (C-GET needs it).
    public var allowsRequestorSCP: @Sendable (String) -> Bool

    public init(
        transferSyntaxes: [String],
        nonStorageTransferSyntaxes: [String] = [
            UIDText.explicitVRLittleEndian, UIDText.implicitVRLittleEndian, UIDText.explicitVRBigEndian,
        ],
        allowsRequestorSCP: @escaping @Sendable (String) -> Bool = { _ in false },
        acceptsAbstractSyntax: @escaping @Sendable (String) -> Bool
    ) {
        self.transferSyntaxes = transferSyntaxes
        self.nonStorageTransferSyntaxes = nonStorageTransferSyntaxes
        self.allowsRequestorSCP = allowsRequestorSCP
        self.acceptsAbstractSyntax = acceptsAbstractSyntax
    }

    /// Answers every distinct context id once, in the order proposed.
    ///
    /// PS3.8 section 9.3.2.2: ids are odd, 1 to 255, so at most 128 contexts can be accepted. Where an id is
    /// repeated, the first context keeps it: a second answer under the same id could not be told apart.
    public func answer(_ proposed: [ProposedContext]) -> [ContextResult] {
        var seen = [Bool](repeating: false, count: 256)
        var results: [ContextResult] = []
        results.reserveCapacity(proposed.count)
        for context in proposed where !seen[Int(context.id)] {
            seen[Int(context.id)] = true
            results.append(self.answer(context))
        }
        return results
    }

    private func answer(_ context: ProposedContext) -> ContextResult {
        // The syntax of a rejected context is not significant; the first proposed keeps old parsers content.
        let placeholder = context.transferSyntaxes.first ?? UIDText.implicitVRLittleEndian
        func rejected(_ result: ContextResult.Result) -> ContextResult {
            ContextResult(id: context.id, result: result, transferSyntax: placeholder)
        }
        guard !context.id.isMultiple(of: 2) else { return rejected(.noReason) }
        guard self.acceptsAbstractSyntax(context.abstractSyntax) else { return rejected(.abstractSyntaxNotSupported) }
        let isStorage =
            context.abstractSyntax != UIDText.verification && context.abstractSyntax != StorageCommitment.sopClassUID
            && QueryRetrieveSOPClass(uid: context.abstractSyntax) == nil
        let preferred = isStorage ? self.transferSyntaxes : self.nonStorageTransferSyntaxes
        guard let chosen = preferred.first(where: { context.transferSyntaxes.contains($0) }) else {
            return rejected(.transferSyntaxesNotSupported)
        }
        return ContextResult(id: context.id, result: .acceptance, transferSyntax: chosen)
    }

    /// Answers to role selection, for SOP classes with at least one accepted context.
    ///
    /// PS3.7 section D.3.3.4: no answer means the default roles, and a role that was not proposed cannot be
    /// granted.
    public func answer(
        _ roles: [RoleSelection],
        proposed: [ProposedContext],
        results: [ContextResult]
    ) -> [RoleSelection] {
        let acceptedIDs = Set(results.filter { $0.result == .acceptance }.map(\.id))
        let acceptedClasses = Set(proposed.filter { acceptedIDs.contains($0.id) }.map(\.abstractSyntax))
        var answered: Set<String> = []
        var answers: [RoleSelection] = []
        for role in roles where acceptedClasses.contains(role.sopClassUID) {
            guard answered.insert(role.sopClassUID).inserted else { continue }
            answers.append(
                RoleSelection(
                    sopClassUID: role.sopClassUID,
                    isSCU: role.isSCU,
                    isSCP: role.isSCP && self.allowsRequestorSCP(role.sopClassUID)
                )
            )
        }
        return answers
    }
}

/// The presentation contexts both sides agreed on, by id.
public struct NegotiatedContexts: Sendable, Equatable {
    /// One agreed context.
    public struct Context: Sendable, Hashable {
        public var id: UInt8
        public var abstractSyntax: String
        public var transferSyntax: String
    }

    /// In the order proposed.
    public let accepted: [Context]
    /// Index into `accepted` by id; 255 where there is none.
    private let indexByID: [UInt8]

    /// Joins proposal and answer.
    ///
    /// Answers to contexts that were not proposed, or under repeated ids, and syntaxes that were not proposed,
    /// are left out.
    public init(proposed: [ProposedContext], results: [ContextResult]) {
        var accepted: [Context] = []
        var indexByID = [UInt8](repeating: 255, count: 256)
        for result in results where result.result == .acceptance && accepted.count < 128 {
            guard indexByID[Int(result.id)] == 255,
                let context = proposed.first(where: { $0.id == result.id }),
                context.transferSyntaxes.contains(result.transferSyntax)
            else { continue }
            indexByID[Int(result.id)] = UInt8(accepted.count)
            accepted.append(
                Context(
                    id: result.id,
                    abstractSyntax: context.abstractSyntax,
                    transferSyntax: result.transferSyntax
                )
            )
        }
        self.accepted = accepted
        self.indexByID = indexByID
    }

    public subscript(id: UInt8) -> Context? {
        let index = self.indexByID[Int(id)]
        return index == 255 ? nil : self.accepted[Int(index)]
    }

    /// The first context for a SOP class and transfer syntax.
    public func context(abstractSyntax: String, transferSyntax: String?) -> Context? {
        self.accepted.first {
            $0.abstractSyntax == abstractSyntax && (transferSyntax == nil || $0.transferSyntax == transferSyntax)
        }
    }
}
