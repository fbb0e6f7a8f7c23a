// SPDX-License-Identifier: Apache-2.0

public import Placement
public import SegmentFormat

extension SegmentStore {
    /// Stores a tombstone or another amendment that a coordinator of the term `authority` asks for, and returns when it
    /// is durable.
    ///
    /// Subject, term and sequence name it: the same again is success, with other content it is `.conflict`. The term is
    /// noted durably before anything is done under it. Fails with `.staleTerm` when a higher one has been heard of (for
    /// tombstone, undelete and release), and with `.held` for the tombstone of a record that is held.
    public func amend(
        _ amendment: NewAmendment,
        under authority: Term
    ) async throws(SegmentStoreError) -> AppendOutcome {
        try await submit(try Put(amendment, under: authority)).get()
    }

    /// What was said about a record, in order, whether it is stored here or not.
    public func amendments(of id: RecordID) async throws(SegmentStoreError) -> [StoredAmendment] {
        try await readers.run { [view] () throws(SegmentStoreError) in try view.amendments(of: id) }
    }

    /// What was said about a record as far as it can be read, in order, and whether that is all.
    public func readableAmendments(
        of id: RecordID
    ) async throws(SegmentStoreError) -> (amendments: [StoredAmendment], isComplete: Bool) {
        try await readers.run { [view] () throws(SegmentStoreError) in try view.readableAmendments(of: id) }
    }

    /// Whether a record is deleted or held, whether it is stored here or not.
    public func standing(of id: RecordID) async throws(SegmentStoreError) -> RecordStanding {
        try await readers.run { [view] () throws(SegmentStoreError) in try view.standing(of: id) }
    }

    /// Whether a record's bytes are known here, deleted or not, and what was said about it; asks the index alone.
    package func presence(
        of id: RecordID
    ) async throws(SegmentStoreError) -> (isStored: Bool, standing: RecordStanding) {
        try await readers.run { [view] () throws(SegmentStoreError) in
            let lookup = try view.lookUp(id)
            return (lookup.locator != nil, lookup.standing)
        }
    }

    /// At most `limit` ids of `group` about which something was said, in order, beginning after `previous`.
    public func listAmended(
        group: PlacementGroup,
        after previous: RecordID? = nil,
        limit: Int
    ) async throws(SegmentStoreError) -> [RecordID] {
        try await readers.run { [view] () throws(SegmentStoreError) in
            try view.listAmended(group: group, after: previous, limit: limit)
        }
    }

    /// Notes, durably, that a coordinator of this term is in office: orders of lower terms are refused from now on.
    public func observe(_ term: Term) async throws(SegmentStoreError) {
        guard term > view.facts.current.highestTerm else { return }
        try await perform { (engine) throws(SegmentStoreError) in try engine.observe(term) }
    }
}
