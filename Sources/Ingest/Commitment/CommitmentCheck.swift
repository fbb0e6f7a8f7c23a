// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import ClusterClient
package import Placement

/// Finds out for which instances storage can be committed: those that the catalog has and whose copies, as many as the
/// policy wants in different failure domains, were read back from the disks and are right.
///
/// What is counted on no node has to be proven by a cold pack.
package struct CommitmentCheck: Sendable {
    /// Failure Reasons (PS3.3 section C.14.1.1).
    package enum Failure: Int, Sendable {
        /// Not enough good copies.
        case processing = 0x0110
        case noSuchInstance = 0x0112
        case classInstanceConflict = 0x0119
    }

    package enum Verdict: Sendable, Hashable {
        case committed
        case failed(Failure)
        /// Not yet, for a reason that may pass: the failure it comes to if it does not, and the reason for people.
        case waiting(Failure, String)
    }

    /// Instances looked at at once.
    package static let windowCount = 8

    /// The row of a SOP Instance UID.
    private let find: @Sendable (String) async throws(CatalogError) -> InstanceRow?
    private let verify: @Sendable (RecordID, [NodeID]) async -> VerifiedCopies
    /// Why no pack proves a record that is counted on no node; nil when one does.
    private let objection: @Sendable (RecordID) async -> String?
    private let wantedCopies: Int

    package init(
        wantedCopies: Int,
        find: @escaping @Sendable (String) async throws(CatalogError) -> InstanceRow?,
        verify: @escaping @Sendable (RecordID, [NodeID]) async -> VerifiedCopies,
        objection: @escaping @Sendable (RecordID) async -> String? = { _ in "no packs are read here" }
    ) {
        self.wantedCopies = wantedCopies
        self.find = find
        self.verify = verify
        self.objection = objection
    }

    /// One verdict for each instance; throws when the catalog is away.
    ///
    /// Reads every byte of every copy: give it a window of instances at a time.
    package func verdicts(on instances: [CommitmentInstance]) async throws(CatalogError) -> [Verdict] {
        let results = await withTaskGroup(of: (Int, Result<Verdict, CatalogError>).self) { tasks in
            for (index, instance) in instances.enumerated() {
                tasks.addTask { (index, await result(of: instance)) }
            }
            var results: [(Int, Result<Verdict, CatalogError>)] = []
            for await result in tasks { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
        var verdicts: [Verdict] = []
        for result in results { verdicts.append(try result.get()) }
        return verdicts
    }

    /// Apart from the closure of the task group: CONTRIBUTING.md, rule 13.
    private func result(of instance: CommitmentInstance) async -> Result<Verdict, CatalogError> {
        do throws(CatalogError) {
            return .success(try await verdict(on: instance))
        } catch {
            return .failure(error)
        }
    }

    private func verdict(on instance: CommitmentInstance) async throws(CatalogError) -> Verdict {
        guard let row = try await find(instance.sopInstanceUID) else {
            // It may be in the journal of an ingest node that took it while the catalog was away.
            return .waiting(.noSuchInstance, "the catalog does not have it")
        }
        guard row.sopClassUID == instance.sopClassUID else { return .failed(.classInstanceConflict) }
        guard !row.nodes.isEmpty else {
            guard let reason = await objection(row.recordID) else { return .committed }
            return .waiting(.processing, "it is in cold packs only: \(reason)")
        }
        let copies = await verify(row.recordID, row.nodes)
        guard copies.domains.count < wantedCopies else { return .committed }
        let reasons = copies.failures.joined(separator: "; ")
        return .waiting(.processing, "\(copies.domains.count) of \(wantedCopies) copies are good: \(reasons)")
    }
}

extension CommitmentCheck {
    /// Against the catalog and the storage nodes.
    init(catalog: Catalog, cluster: ClusterClient, packs: PackLibrary, wantedCopies: Int) {
        self.init(
            wantedCopies: wantedCopies,
            find: { uid throws(CatalogError) in try await catalog.instance(sopInstanceUID: uid) },
            verify: { record, nodes in
                await cluster.verifiedCopies(of: record, copies: nodes, wanted: wantedCopies)
            },
            objection: { await packs.objection(to: $0) }
        )
    }
}
