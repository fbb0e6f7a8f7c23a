// SPDX-License-Identifier: Apache-2.0

import DICOM
package import DIMSE

/// Instances that go out over one association, and the presentation contexts that it proposes for them.
package struct MoveBatch: Sendable {
    /// The most contexts of one association (PS3.8 section 9.3.2.2).
    package static let maximumContextCount = 128

    package let instances: ArraySlice<StoredInstance>
    package let contexts: [ProposedContext]

    /// The longest beginning of `instances` that one association can carry.
    ///
    /// For each SOP class: a context for every syntax that an instance of it is stored in, so that the destination
    /// decides about each, and one for native pixel data.
    package init(of instances: ArraySlice<StoredInstance>) {
        var proposals: [Proposal] = []
        var known: Set<Proposal> = []
        let native = TransferSyntax.explicitVRLittleEndian.uid.string
        let fallback = TransferSyntax.implicitVRLittleEndian.uid.string
        let batch = instances.prefix { instance in
            let needed = [instance.storedTransferSyntax, native, fallback].map {
                Proposal(sopClass: instance.sopClassUID, transferSyntax: $0)
            }.filter { !known.contains($0) }
            let added = needed.reduce(into: [Proposal]()) { if !$0.contains($1) { $0.append($1) } }
            guard proposals.count + added.count <= Self.maximumContextCount else { return false }
            proposals += added
            known.formUnion(added)
            return true
        }
        self.instances = batch
        self.contexts = proposals.enumerated().map { index, proposal in
            ProposedContext(
                id: UInt8(2 * index + 1),
                abstractSyntax: proposal.sopClass,
                transferSyntaxes: [proposal.transferSyntax]
            )
        }
    }

    private struct Proposal: Hashable {
        let sopClass: String
        let transferSyntax: String
    }
}
