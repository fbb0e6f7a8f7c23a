// SPDX-License-Identifier: Apache-2.0

public import Placement
import ReplicationProtocol

/// What became of reading a record's copies back.
public struct VerifiedCopies: Sendable {
    /// Failure domains with a copy that was read whole and whose checksums and digest are right.
    public var domains: Set<FailureDomain> = []
    /// Why other nodes did not count: name and reason.
    public var failures: [String] = []

    public init(domains: Set<FailureDomain> = [], failures: [String] = []) {
        self.domains = domains
        self.failures = failures
    }
}

extension ClusterClient {
    /// Has a record's copies read whole and checked by the nodes that hold them: those in `copies` first, at once, then
    /// others of its group one by one, until `wanted` in different failure domains are good.
    public func verifiedCopies(of id: RecordID, copies: [NodeID], wanted: Int) async -> VerifiedCopies {
        var verified = VerifiedCopies()
        let known = readOrder(of: id, copies: copies)
        await withTaskGroup(of: (NodeID, ReplicationError?).self) { tasks in
            for node in copies { tasks.addTask { (node, await self.problem(with: id, on: node)) } }
            for await (node, problem) in tasks { note(node, problem, &verified) }
        }
        for node in known where !copies.contains(node) && verified.domains.count < wanted {
            note(node, await problem(with: id, on: node), &verified)
        }
        return verified
    }

    private func problem(with id: RecordID, on node: NodeID) async -> ReplicationError? {
        do throws(ReplicationError) {
            try await check(id, on: node, deep: true)
            return nil
        } catch {
            return error
        }
    }

    private func note(_ node: NodeID, _ problem: ReplicationError?, _ verified: inout VerifiedCopies) {
        let member = map?[node]
        switch (problem, member) {
        case (nil, let member?): verified.domains.insert(member.domain)
        case (let problem?, _): verified.failures.append("\(member?.name ?? "\(node)"): \(problem)")
        case (nil, nil): verified.failures.append("\(node): the node is not in the placement map")
        }
    }
}
