// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import NIOConcurrencyHelpers

/// The associations that a C-MOVE has open, so that all can be ended at once.
///
/// May be used from any task.
final class MoveAssociations: Sendable {
    private struct State {
        var open: [DICOMAssociation] = []
        var isAborted = false
    }

    private let state = NIOLockedValueBox(State())

    /// Notes an association until it is removed; one that comes too late is aborted.
    func add(_ association: DICOMAssociation) async {
        let isAborted = state.withLockedValue { state in
            if !state.isAborted { state.open.append(association) }
            return state.isAborted
        }
        if isAborted { await association.abort() }
    }

    func remove(_ association: DICOMAssociation) {
        state.withLockedValue { state in state.open.removeAll { $0 === association } }
    }

    /// Ends all of them, and those to come: what waits for a destination goes on with an error.
    func abort() async {
        let open = state.withLockedValue { state in
            state.isAborted = true
            defer { state.open = [] }
            return state.open
        }
        for association in open { await association.abort() }
    }
}
