// SPDX-License-Identifier: Apache-2.0

import Placement

/// What one connection remembers of the database, so that a batch of instances need not ask again.
///
/// Everything here is either never changed in the database (terms, placements) or checked when used (series).
struct SessionMemory {
    /// A series' row, and which attributes at and above it are known to have a value.
    struct KnownSeries {
        var id: Int64
        var filledAttributes: UInt32
    }

    /// The most entries of each table; when one is full it starts again.
    static let maximumCount = 16_384

    var rowTypes: RowTypes?
    private(set) var terms: [String: Int32] = [:]
    private(set) var placements: [[NodeID]: Int32] = [:]
    private(set) var series: [PreparedEntry.SeriesKey: KnownSeries] = [:]

    mutating func remember(term: String, _ id: Int32) {
        if terms.count >= Self.maximumCount { terms.removeAll() }
        terms[term] = id
    }

    mutating func remember(placement: [NodeID], _ id: Int32) {
        if placements.count >= Self.maximumCount { placements.removeAll() }
        placements[placement] = id
    }

    /// The series' row, when nothing in the entry could fill an attribute that is empty there.
    func seriesID(covering prepared: PreparedEntry) -> Int64? {
        guard let known = series[prepared.seriesKey], prepared.filledAttributes & ~known.filledAttributes == 0 else {
            return nil
        }
        return known.id
    }

    mutating func remember(series key: PreparedEntry.SeriesKey, id: Int64, filledAttributes: UInt32) {
        if let known = series[key], known.id == id {
            series[key] = KnownSeries(id: id, filledAttributes: known.filledAttributes | filledAttributes)
            return
        }
        if series.count >= Self.maximumCount { series.removeAll() }
        series[key] = KnownSeries(id: id, filledAttributes: filledAttributes)
    }

    mutating func forget(series key: PreparedEntry.SeriesKey) {
        series[key] = nil
    }
}
