// SPDX-License-Identifier: Apache-2.0

import Catalog
import ColdStore
import Lifecycle
import LifecyclePlanning
import Logging

extension LifecycleService {
    /// What rules say of the media of a store holds for the packs, too, that are there already.
    ///
    /// The places of packs are kept as they were when they were ordered; only what is said of media changes.
    func renamePlaces(_ rules: RuleSet) async throws(CatalogError) {
        let wanted = rules.tiers.filter { !$0.isOnNodes }.compactMap { Self.place($0.storePlace.place) }
        for text in Set(try await catalog.tierTotals().map(\.place)).sorted() {
            guard let place = Self.place(text), let now = wanted.first(where: { $0.isSameStore(as: place) }) else {
                continue
            }
            let new = "\(place.with(now.media))"
            guard new != text, new.utf8.count <= ColdPlace.maximumByteCount else { continue }
            let count = try await catalog.rename(place: text, to: new)
            logger.notice("what is said of a store's media has changed", metadata: ["moves": "\(count)"])
        }
    }

    /// Nil for what this program can't read.
    private static func place(_ text: String) -> ColdPlace? {
        do throws(ColdStoreError) {
            return try ColdPlace(text)
        } catch {
            return nil
        }
    }
}
