// SPDX-License-Identifier: Apache-2.0

package import Placement
package import SegmentFormat

extension StoreEngine {
    /// Lets copies go that are not wanted in this store any more: durable when it returns, in as few batches as they fit.
    ///
    /// Not a deletion: what was said about the records stays, other stores keep them, and they may be stored here again. Names
    /// every place that the store knows of each, so that none of them comes back when the index is lost. `permit` is what a
    /// coordinator of the term `authority` issued. Throws `.staleTerm` when a higher term has been heard of; after any other
    /// error some of the copies may have been dropped.
    package mutating func drop(
        _ drops: [RecordDrop],
        permit: Amendment.Reference,
        mapEpoch: MapEpoch,
        under authority: Term
    ) throws(SegmentStoreError) -> [DropOutcome] {
        if let failure { throw failure }
        guard authority >= manifest.state.highestTerm else {
            throw SegmentStoreError(.staleTerm, "a coordinator of a higher term has been heard of")
        }
        try observe(authority)
        var outcomes: [DropOutcome] = []
        var notes: [(id: RecordID, note: DropNote)] = []
        var seen: Set<RecordID> = []
        do {
            for drop in drops {
                let lookup = try index.lookUp(drop.id)
                let outcome = drop.refusal(lookup, isDoubled: !seen.insert(drop.id).inserted)
                outcomes.append(outcome ?? .dropped)
                guard outcome == nil, let locator = lookup.locator else { continue }
                let others = try index.others(of: drop.id).map(\.place).filter { segments.entry(of: $0.segment) != nil }
                let places = Array(Set([locator.place] + others)).sorted()
                guard places.count <= DropNote.maximumPlaceCount else {
                    throw SegmentStoreError(.tooLarge, "a record has too many places to be dropped", record: drop.id)
                }
                notes.append((drop.id, DropNote(term: authority, permit: permit, places: places)))
            }
        } catch {
            throw (error as? SegmentStoreError) ?? fail("\(error)")
        }
        try write(notes, mapEpoch)
        return outcomes
    }

    /// Writes notes, which are durable and in force when it returns.
    mutating func write(
        _ notes: [(id: RecordID, note: DropNote)],
        _ mapEpoch: MapEpoch
    ) throws(SegmentStoreError) {
        guard !notes.isEmpty else { return }
        // A program that would take a note for the record itself must not read the store from now on.
        if !manifest.state.hasDrops { try append([.drops]) }
        let now = view.clock.wallMilliseconds()
        let puts = try notes.map { (id, note) throws(SegmentStoreError) in
            try Put(note, of: id, mapEpoch: mapEpoch, writtenAtMilliseconds: now)
        }
        var refusal: SegmentStoreError?
        store(puts) { _, result in
            if case .failed(let error) = result { refusal = refusal ?? error }
        }
        if let refusal { throw refusal }
    }

    /// Notes, before a copy of a segment is made known, that what was dropped while it was made does not count in it either.
    mutating func dropAgain(_ compaction: Compaction) throws(SegmentStoreError) {
        let live = zip(compaction.usage.live, compaction.places).filter { $0.0.hasContent }
        var notes: [(id: RecordID, note: DropNote)] = []
        do throws(IndexFailure) {
            let drops = try index.drops(of: live.map { $0.0.id })
            for ((record, place), drops) in zip(live, drops)
            where drops.contains(where: { $0.place == record.locator.place }) {
                let note = DropNote(
                    term: manifest.state.highestTerm,
                    permit: Amendment.Reference(high: 0, low: 0),
                    places: [place.place]
                )
                notes.append((record.id, note))
            }
        } catch {
            throw fail("\(error)")
        }
        try write(notes, MapEpoch(rawValue: 0))
    }
}

extension RecordDrop {
    /// Why the record is not dropped, by what the index knows of it; `nil` when it is.
    fileprivate func refusal(_ lookup: IndexLookup, isDoubled: Bool) -> DropOutcome? {
        if lookup.standing.isDeleted { return .deleted }
        if lookup.locator == nil || isDoubled { return .absent }
        return lookup.standing.isHeld && !isHeldElsewhere ? .held : nil
    }
}
