// SPDX-License-Identifier: Apache-2.0

import ColdStore
import PackFormat
import ReplicationProtocol

/// Removes a pack from its store.
///
/// Whether it may go is for the coordinator to know, under whose term the order comes; this node only removes what lies under
/// the pack's own name, in a store that its configuration names.
struct PackRemoval: Sendable {
    let reference: PackReference
    let stores: ColdStores

    func remove() async throws(ColdStoreError) {
        let id = PackID(high: reference.pack.high, low: reference.pack.low)
        guard let key = ObjectKey(PackDescription.key(of: id, study: reference.studyInstanceUID)) else {
            throw ColdStoreError(.invalid, "the study's UID can't be a name in a store")
        }
        guard let store = try await stores.store(at: reference.place) as? any ObjectRemoval else {
            throw ColdStoreError(.denied, "nothing can be removed from this kind of store")
        }
        // Parts first: what was begun and never finished is seen by nobody afterwards.
        try await store.removeUnfinished(key)
        try await store.remove(key)
    }
}
