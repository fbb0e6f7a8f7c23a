// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import ReplicationProtocol

/// Asks once more about a copy that its node did not list, and about all others, before anything is changed.
///
/// A copy is counted no more only when its node, whose word counts, says again that it does not have it, and another that stays
/// counted has just been read whole. Any doubt changes nothing.
struct MissingCopyCheck: Sendable {
    enum Verdict: Hashable, Sendable {
        /// It is there, or not named any more.
        case settled
        /// It is not there; a copy on `witness`, which is counted, was read whole.
        case gone(witness: NodeID)
        /// It is not there, nor is any that is counted; one on `node`, which is not, was read whole.
        case elsewhere(node: NodeID)
        /// All members of the map have been asked, and none has a good copy.
        case lost(String)
        /// It could not be judged now.
        case doubtful(String)
    }

    let view: ComparisonView

    func run(_ copy: MissingCopy) async -> Verdict {
        guard copy.placement != nil, copy.nodes.contains(copy.node) else { return .settled }
        guard view.trusted.contains(copy.node), let node = view.peers[copy.node] else {
            return .doubtful("\(name(copy.node)) is away, or not sure what it has")
        }
        do throws(ReplicationError) {
            guard try await node.digest(of: copy.record) == nil else { return .settled }
        } catch {
            // Damage is there, and healed as such; what is deleted there, the trash settles.
            if error.code == .corrupt || error.code == .checksumMismatch { return .settled }
            return .doubtful("\(node.name): \(error)")
        }
        var answers: [String] = []
        var isCertain = true
        // Those that are counted first; then whoever may have a copy that is not.
        let counted = copy.nodes.filter { $0 != copy.node }
        let others = view.members.keys.filter { !copy.nodes.contains($0) }.sorted()
        for id in counted + others {
            switch await hasWhole(copy.record, on: id) {
            case .yes: return counted.contains(id) ? .gone(witness: id) : .elsewhere(node: id)
            case .no(let reason): answers.append(reason)
            case .unknown(let reason):
                answers.append(reason)
                isCertain = false
            }
        }
        let reasons = answers.joined(separator: "; ")
        return isCertain ? .lost(reasons) : .doubtful(reasons)
    }

    /// Whether a node reads all of a record now.
    func isWhole(_ record: RecordID, on id: NodeID) async -> Bool {
        if case .yes = await hasWhole(record, on: id) { return true }
        return false
    }

    private enum Answer {
        case yes
        case no(String)
        case unknown(String)
    }

    /// Whether a node has a record whole.
    ///
    /// Reading it proves that it does; that it does not is only said by one that is trusted.
    private func hasWhole(_ record: RecordID, on id: NodeID) async -> Answer {
        // What was on a node that has left is no copy.
        guard view.members[id] != nil else { return .no("\(id) is no member") }
        guard let peer = view.peers[id] else { return .unknown("\(name(id)) is away") }
        do throws(ReplicationError) {
            guard try await peer.digest(of: record) != nil else {
                return view.trusted.contains(id) ? .no("\(peer.name): no") : .unknown("\(peer.name) is not sure")
            }
            try await peer.verify(record)
            return .yes
        } catch {
            switch error.code {
            case .corrupt, .checksumMismatch: return .no("\(peer.name): \(error)")
            default: return .unknown("\(peer.name): \(error)")
            }
        }
    }

    private func name(_ id: NodeID) -> String { view.members[id] ?? "\(id)" }
}
