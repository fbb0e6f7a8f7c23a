// SPDX-License-Identifier: Apache-2.0

import ReplicationProtocol
import SegmentStore
import SimulatedDisk

/// The fence of a storage node: the real `TermFence`, whose position outlives the process.
///
/// Follows the order of `RecordService.persist`: what is admitted under a new term comes after that term is durable.
final class NodeFence {
    typealias Admission = (ReplicationError?) -> Void

    private var fence: TermFence
    private var waiting: [TermFence.Ticket: Admission] = [:]
    private unowned let node: StorageProcess

    /// The fence of a process that starts.
    init(_ node: StorageProcess) {
        var position = node.store.fencePosition
        if let highest = node.store.engine?.status.highestTerm { position.term = max(position.term, highest) }
        self.fence = TermFence(position)
        self.node = node
    }

    /// Calls back with `nil` when the order may be carried out; a removal then says ``left()``.
    func enter(_ demand: FenceDemand, _ admitted: @escaping Admission) {
        let (admission, effects) = fence.enter(demand)
        switch admission {
        case .admitted: admitted(nil)
        case .refused(let error): admitted(error)
        case .waiting(let ticket): waiting[ticket] = admitted
        }
        perform(effects)
    }

    /// A removal has ended.
    func left() { perform(fence.left()) }

    private func perform(_ effects: TermFence.Effects) {
        for decision in effects.decided { waiting.removeValue(forKey: decision.ticket)?(decision.refusal) }
        guard let position = effects.persist else { return }
        let store = node.store
        node.step(100...900) { engine in
            let result = Result { () throws(SegmentStoreError) in try engine.observe(position.term) }
            if case .success = result, !store.disk.isCrashed { store.fencePosition = position }
            return result
        } _: { [self] (result: Result<Void, SegmentStoreError>) in
            switch result {
            case .success: perform(fence.persisted(nil))
            case .failure(let error): perform(fence.persisted(ReplicationError(store: error)))
            }
        }
    }
}
