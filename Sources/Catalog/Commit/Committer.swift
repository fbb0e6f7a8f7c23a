// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement

/// Enters instances into the catalog: takes all that wait, sends them as one statement, answers each caller.
///
/// While one batch is under way the next gathers by itself; nothing waits for a timer. Owned and run by one thread.
/// A batch whose outcome is unknown is sent again on a new connection until the entries' deadline: an entry is known
/// again by its record id, so that is safe.
final class Committer {
    /// How often a batch that Postgres rolled back for the sake of others is tried again.
    private static let maximumAttemptCount = 10

    private let queue: WorkQueue<PendingEntry>
    private let session: CatalogSession
    private let maximumBatchCount: Int

    init(queue: WorkQueue<PendingEntry>, session: CatalogSession, maximumBatchCount: Int) {
        self.queue = queue
        self.session = session
        self.maximumBatchCount = maximumBatchCount
    }

    /// Works until the queue is closed and empty.
    func run() {
        while let batch = queue.take(positionsOfBatch) { commit(batch, wasSentBefore: false) }
        session.disconnect()
    }

    /// The first waiting entries, no SOP Instance UID twice: the second of two waits for what becomes of the first.
    private func positionsOfBatch(_ waiting: ArraySlice<PendingEntry>) -> [Int] {
        if waiting.count == 1 { return [waiting.startIndex] }
        var seen: Set<String> = []
        var positions: [Int] = []
        for position in waiting.indices {
            guard positions.count < maximumBatchCount else { break }
            if seen.insert(waiting[position].prepared.sopInstanceUID).inserted { positions.append(position) }
        }
        return positions
    }

    private func commit(_ batch: [PendingEntry], wasSentBefore: Bool) {
        var waiting = batch
        var wasSent = wasSentBefore
        var attemptCount = 0
        if !wasSent { failExpired(&waiting, CatalogError(.unavailable, "Postgres was busy until the deadline")) }
        while !waiting.isEmpty {
            // All have nearly the same deadline: the first came first.
            let deadline = waiting[0].deadline
            do {
                let connection = try session.connected(deadline: deadline)
                let resolved = try resolve(waiting, connection, deadline)
                if try send(resolved, connection, deadline, &wasSent) {
                    for entry in waiting { entry.finish(.committed) }
                    return
                }
                try finishExisting(&waiting, connection, deadline)
                attemptCount += 1
                if attemptCount >= Self.maximumAttemptCount {
                    fail(&waiting, CatalogError(.failed, "the instance's series changes faster than it can be entered"))
                }
            } catch {
                attemptCount += 1
                recover(from: error, &waiting, wasSent: wasSent, attemptCount: attemptCount)
            }
        }
    }

    /// Decides what becomes of a batch that failed; what is left in `waiting` is tried again.
    private func recover(
        from failure: PostgresFailure,
        _ waiting: inout [PendingEntry],
        wasSent: Bool,
        attemptCount: Int
    ) {
        if failure.endsConnection { session.disconnect() }
        switch failure.kind {
        case .cannotConnect, .broken, .deadline, .serverGone:
            let error =
                wasSent
                ? CatalogError(.outcomeUnknown, "\(failure.message); commit the same entry again to learn the outcome")
                : CatalogError(.unavailable, failure.message)
            failExpired(&waiting, error)
            if attemptCount >= Self.maximumAttemptCount, !waiting.isEmpty {
                // The server takes connections but drops them at this batch, time and again.
                fail(&waiting, error)
            }
        case .refused(let state) where state.isTransient && attemptCount < Self.maximumAttemptCount:
            // Rolled back: nothing of it happened.
            return
        case .refused, .unexpected:
            guard waiting.count > 1 else {
                fail(&waiting, failure.error(changing: true))
                return
            }
            // One bad entry must not fail its neighbours: each by itself.
            let singles = waiting
            waiting = []
            for entry in singles { commit([entry], wasSentBefore: wasSent) }
        }
    }

    private func failExpired(_ waiting: inout [PendingEntry], _ error: CatalogError) {
        let now = NIODeadline.now()
        waiting.removeAll { entry in
            guard entry.deadline <= now else { return false }
            entry.fail(error)
            return true
        }
    }

    private func fail(_ waiting: inout [PendingEntry], _ error: CatalogError) {
        for entry in waiting { entry.fail(error) }
        waiting = []
    }

    // MARK: one round trip

    /// Replaces texts and sets of nodes by their numbers; asks the database for those not met before.
    private func resolve(
        _ batch: [PendingEntry],
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) -> [ResolvedEntry] {
        let unknownTerms = batch.flatMap { $0.prepared.terms.filter { session.memory.terms[$0] == nil } }
        if !unknownTerms.isEmpty {
            let distinct = Array(Set(unknownTerms)).sorted()
            let result = try connection.query(Statements.internTerms, [.texts(distinct)], deadline: deadline)
            for row in result.rows {
                guard let id = row.int(0).flatMap({ Int32(exactly: $0) }) else { continue }
                session.memory.remember(term: row.text(1), id)
            }
        }
        var resolved: [ResolvedEntry] = []
        resolved.reserveCapacity(batch.count)
        for entry in batch {
            let terms = entry.prepared.terms.compactMap { session.memory.terms[$0] }
            guard terms.count == 4 else {
                throw PostgresFailure(kind: .unexpected, message: "Postgres did not number a text")
            }
            resolved.append(
                ResolvedEntry(
                    prepared: entry.prepared,
                    terms: terms,
                    placement: try placement(entry.prepared.placement, connection, deadline),
                    series: session.memory.seriesID(covering: entry.prepared) ?? 0
                )
            )
        }
        return resolved
    }

    private func placement(
        _ nodes: [NodeID],
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) -> Int32 {
        if let known = session.memory.placements[nodes] { return known }
        let result = try connection.query(Statements.internPlacement, [.nodes(nodes)], deadline: deadline)
        guard let id = result.first?.int(0).flatMap({ Int32(exactly: $0) }) else {
            throw PostgresFailure(kind: .unexpected, message: "Postgres did not number a placement")
        }
        session.memory.remember(placement: nodes, id)
        return id
    }

    /// Sends the batch in one statement; returns whether all of it was entered.
    private func send(
        _ batch: [ResolvedEntry],
        _ connection: PostgresConnection,
        _ deadline: NIODeadline,
        _ wasSent: inout Bool
    ) throws(PostgresFailure) -> Bool {
        let types = try rowTypes(connection, deadline)
        let isPlain = batch.allSatisfy { $0.series != 0 }
        let statement = isPlain ? Statements.insertInstances : Statements.commitInstances
        try connection.prepare(statement, deadline: deadline)
        do throws(PostgresFailure) {
            if isPlain {
                let parameter = BatchEncoding.instances(batch, types: types)
                return try connection.query(statement, [parameter], deadline: deadline).changedRowCount == batch.count
            }
            let encoding = BatchEncoding(batch, types: types)
            let result = try connection.query(statement, encoding.parameters, deadline: deadline)
            guard let row = result.first else {
                throw PostgresFailure(kind: .unexpected, message: "Postgres gave no answer to a batch")
            }
            remember(batch, encoding.series, ids: row.ints(1))
            return row.int(0) == batch.count
        } catch {
            if error.leavesOutcomeUnknown { wasSent = true }
            throw error
        }
    }

    private func remember(_ batch: [ResolvedEntry], _ keys: [PreparedEntry.SeriesKey], ids: [Int]) {
        var numbers: [PreparedEntry.SeriesKey: Int64] = [:]
        for (key, id) in zip(keys, ids) where id != 0 { numbers[key] = Int64(id) }
        for resolved in batch where resolved.series == 0 {
            guard let id = numbers[resolved.prepared.seriesKey] else { continue }
            session.memory.remember(
                series: resolved.prepared.seriesKey,
                id: id,
                filledAttributes: resolved.prepared.filledAttributes
            )
        }
    }

    private func rowTypes(
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) -> RowTypes {
        if let known = session.memory.rowTypes { return known }
        let result = try connection.query(Statements.rowTypes, [.texts(RowTypes.names)], deadline: deadline)
        var types = RowTypes(arrays: [], elements: [])
        for row in result.rows {
            types.elements.append(UInt32(truncatingIfNeeded: row.int(0) ?? 0))
            types.arrays.append(UInt32(truncatingIfNeeded: row.int(1) ?? 0))
        }
        guard types.elements.count == RowTypes.names.count else {
            throw PostgresFailure(
                kind: .refused(SQLState(code: "42704")),
                message: "the schema is missing or incomplete"
            )
        }
        session.memory.rowTypes = types
        return types
    }

    // MARK: answers

    /// Answers entries by what the catalog has under their UIDs, be it themselves; those with nothing go on waiting.
    private func finishExisting(
        _ waiting: inout [PendingEntry],
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) {
        let uids = waiting.map(\.prepared.sopInstanceUID)
        let existing = try InstanceRow.read(sopInstanceUIDs: uids, connection, deadline)
        let absent = uids.filter { existing[$0] == nil }
        let trashed = absent.isEmpty ? [] : try Catalog.trashed(absent, connection, deadline)
        waiting.removeAll { entry in
            if trashed.contains(entry.prepared.sopInstanceUID) {
                entry.finish(.deleted)
                return true
            }
            guard let row = existing[entry.prepared.sopInstanceUID] else {
                // Its series, or the instance that stood in its way, was removed just now.
                session.memory.forget(series: entry.prepared.seriesKey)
                return false
            }
            entry.finish(entry.prepared.outcome(against: row))
            return true
        }
    }
}

extension PreparedEntry {
    /// What an instance that is already there means for this entry.
    func outcome(against existing: InstanceRow) -> CommitOutcome {
        guard existing.contentDigest == entry.contentDigest,
            existing.studyInstanceUID == entry.study.studyInstanceUID,
            existing.seriesInstanceUID == entry.series.seriesInstanceUID
        else { return .conflict(existing: existing) }
        return existing.recordID == entry.recordID ? .committed : .duplicate(existing: existing)
    }
}
