// SPDX-License-Identifier: Apache-2.0

import CLMDB
import Glibc
import Placement
import SegmentFormat

/// The index in LMDB: a cache that a scan of the segments rebuilds.
///
/// Nothing is synced while the store runs. A crash of the process leaves it consistent (the page cache lives on); a
/// crash of the machine may not, so it is then thrown away. One thread writes; any thread reads. Keys and integers of
/// keys are big endian, so that they sort as they should.
// Safety: an LMDB environment is made to be shared by threads, and its transactions are not tied to them (MDB_NOTLS);
// `environment` changes only in `close`, which runs after all threads have ended.
final class LMDBIndex: RecordIndex, @unchecked Sendable {
    private var environment: OpaquePointer?
    /// Record id to locator.
    let records: LMDBTable
    /// Subject, term and sequence to locator, kind, time and reference.
    private let amendments: LMDBTable
    /// Record id to standing, where anything was said about it.
    private let standings: LMDBTable
    /// Up to where segments are indexed, and whose index this is.
    private let states: LMDBTable
    /// Record id and place to locator: where else its bytes are.
    let others: LMDBTable
    /// Record id and place to the locator of the drop note that names it.
    let dropped: LMDBTable

    /// Changed whenever the meaning of keys or values changes: an index of another version is rebuilt.
    private static let version: UInt64 = 3

    typealias RecordKey = (UInt64, UInt64)
    private typealias AmendmentKey = (UInt64, UInt64, UInt64, UInt64)
    typealias PlaceKey = (UInt64, UInt64, UInt64, UInt64)
    typealias LocatorValue = (UInt64, UInt64, UInt64, UInt64)
    private typealias AmendmentValue = (LocatorValue, UInt64, UInt64, UInt64, UInt64)
    private typealias StandingValue = (UInt64, UInt64, UInt64)
    private typealias StateValue = (UInt64, UInt64, UInt64, UInt64)

    /// Opens the index in `directory`, or makes an empty one; fails when it belongs to another store or is damaged.
    init(directory: String, mapByteCount: Int, identity: (UInt64, UInt64, UInt64, UInt64)) throws(IndexFailure) {
        var environment: OpaquePointer?
        try LMDBTable.check(mdb_env_create(&environment), "create")
        guard let environment else { throw IndexFailure("create", number: EINVAL) }
        var isOpen = false
        defer { if !isOpen { mdb_env_close(environment) } }
        try LMDBTable.check(mdb_env_set_mapsize(environment, mapByteCount), "set map size")
        try LMDBTable.check(mdb_env_set_maxdbs(environment, 6), "set databases")
        try LMDBTable.check(mdb_env_set_maxreaders(environment, 512), "set readers")
        let flags = UInt32(MDB_NOSYNC) | UInt32(MDB_NOTLS) | UInt32(MDB_NORDAHEAD)
        try LMDBTable.check(mdb_env_open(environment, directory, flags, 0o640), "open")
        var dead: CInt = 0
        try LMDBTable.check(mdb_reader_check(environment, &dead), "check readers")

        var transaction: OpaquePointer?
        try LMDBTable.check(mdb_txn_begin(environment, nil, 0, &transaction), "begin")
        var isCommitted = false
        defer { if !isCommitted { mdb_txn_abort(transaction) } }
        self.records = try LMDBTable("records", transaction)
        self.amendments = try LMDBTable("amendments", transaction)
        self.standings = try LMDBTable("standings", transaction)
        self.states = try LMDBTable("states", transaction)
        self.others = try LMDBTable("others", transaction)
        self.dropped = try LMDBTable("dropped", transaction)
        let wanted: StateValue = (identity.0 ^ Self.version, identity.1, identity.2, identity.3)
        if let found = try states.get(transaction, Self.identityKey, as: StateValue.self) {
            guard found == wanted else { throw IndexFailure("open another store's index", number: EINVAL) }
        } else {
            try states.put(transaction, Self.identityKey, wanted)
        }
        isCommitted = true
        try LMDBTable.check(mdb_txn_commit(transaction), "commit")
        self.environment = environment
        isOpen = true
    }

    func close() {
        if let environment { mdb_env_close(environment) }
        environment = nil
    }

    func sync() throws(IndexFailure) {
        try LMDBTable.check(mdb_env_sync(environment, 1), "sync")
    }

    // MARK: Records

    func liveCount() throws(IndexFailure) -> Int {
        try reading { (transaction) throws(IndexFailure) in
            var count = try records.count(transaction)
            // Few records were ever said to be deleted beside those that are stored.
            var start = (UInt64(0), UInt64(0))
            try standings.scan(transaction, from: &start) {
                (key: RecordKey, value: StandingValue) throws(IndexFailure) in
                if Self.standing(value).isDeleted, try records.has(transaction, key) { count -= 1 }
                return true
            }
            return count
        }
    }

    func lookUp(_ ids: [RecordID]) throws(IndexFailure) -> [IndexLookup] {
        try reading { (transaction) throws(IndexFailure) in
            var lookups: [IndexLookup] = []
            lookups.reserveCapacity(ids.count)
            for id in ids { lookups.append(try lookUp(transaction, id)) }
            return lookups
        }
    }

    func amendments(of id: RecordID) throws(IndexFailure) -> [IndexedRecord] {
        try reading { (transaction) throws(IndexFailure) in try amendments(transaction, of: id) }
    }

    func insert(
        _ entries: [IndexedRecord],
        segment: SegmentID,
        indexedUpTo end: UInt64
    ) throws(IndexFailure) -> Int {
        try writing { (transaction) throws(IndexFailure) in
            var change = 0
            for entry in entries {
                let before = try lookUp(transaction, entry.id)
                if let amendment = entry.amendment {
                    try amendments.put(transaction, Self.key(amendment), Self.value(amendment, entry.locator))
                    let all = try amendments(transaction, of: entry.id).compactMap(\.amendment)
                    try standings.put(transaction, Self.key(entry.id), Self.value(RecordStanding(all)))
                } else if entry.locator.type == .drop {
                    try drop(transaction, entry, before.locator)
                } else {
                    try place(transaction, entry, before.locator)
                }
                let isLive = try lookUp(transaction, entry.id).isLive
                change += (isLive ? 1 : 0) - (before.isLive ? 1 : 0)
            }
            try states.put(transaction, Self.key(of: segment), (end, UInt64(0), UInt64(0), UInt64(0)))
            return change
        }
    }

    func move(_ moves: [IndexMove]) throws(IndexFailure) {
        try writing { (transaction) throws(IndexFailure) in
            for move in moves {
                let key = Self.key(move.record.id)
                if let amendment = move.record.amendment {
                    let stored = try amendments(transaction, of: move.record.id)
                    guard stored.contains(where: { $0.locator == move.record.locator }) else { continue }
                    if let target = move.target {
                        try amendments.put(transaction, Self.key(amendment), Self.value(amendment, target))
                        continue
                    }
                    try amendments.remove(transaction, Self.key(amendment))
                    let rest = stored.filter { $0.locator != move.record.locator }.compactMap(\.amendment)
                    if rest.isEmpty {
                        try standings.remove(transaction, key)
                    } else {
                        try standings.put(transaction, key, Self.value(RecordStanding(rest)))
                    }
                } else if move.record.locator.type == .drop {
                    try moveNote(transaction, move)
                } else if try lookUp(transaction, move.record.id).locator == move.record.locator {
                    if let target = move.target {
                        let new = IndexedRecord(id: move.record.id, locator: target)
                        try place(transaction, new, move.record.locator)
                    } else {
                        try records.remove(transaction, key)
                    }
                }
            }
        }
    }

    func forget(_ segment: SegmentID, _ records: [IndexedRecord]) throws(IndexFailure) {
        try writing { (transaction) throws(IndexFailure) in
            try states.remove(transaction, Self.key(of: segment))
            for record in records { try forget(transaction, record) }
        }
    }

    func indexedEnd(of segment: SegmentID) throws(IndexFailure) -> UInt64? {
        try reading { (transaction) throws(IndexFailure) in
            try states.get(transaction, Self.key(of: segment), as: StateValue.self)?.0
        }
    }

    func list(group: PlacementGroup, after previous: RecordID?, limit: Int) throws(IndexFailure) -> [RecordID] {
        try list(records, group, after: previous, limit: limit) { (transaction, id) throws(IndexFailure) in
            try !standing(transaction, id).isDeleted
        }
    }

    func listAmended(group: PlacementGroup, after previous: RecordID?, limit: Int) throws(IndexFailure) -> [RecordID] {
        try list(standings, group, after: previous, limit: limit) { (_, _) in true }
    }

    // MARK: Parts

    private func list(
        _ table: LMDBTable,
        _ group: PlacementGroup,
        after previous: RecordID?,
        limit: Int,
        where isWanted: (OpaquePointer?, RecordID) throws(IndexFailure) -> Bool
    ) throws(IndexFailure) -> [RecordID] {
        try reading { (transaction) throws(IndexFailure) in
            var ids: [RecordID] = []
            var start = ((UInt64(group.rawValue) << 48).bigEndian, UInt64(0))
            if let previous, previous.group >= group { start = Self.key(previous) }
            try table.scanKeys(transaction, from: &start) { (key: RecordKey) throws(IndexFailure) in
                guard let id = RecordID(high: UInt64(bigEndian: key.0), low: UInt64(bigEndian: key.1)) else {
                    throw IndexFailure("read", number: MDB_CORRUPTED)
                }
                guard id.group == group, ids.count < limit else { return false }
                if let previous, id <= previous { return true }
                if try isWanted(transaction, id) { ids.append(id) }
                return true
            }
            return ids
        }
    }

    private func lookUp(_ transaction: OpaquePointer?, _ id: RecordID) throws(IndexFailure) -> IndexLookup {
        var lookup = IndexLookup(standing: try standing(transaction, id))
        if let words = try records.get(transaction, Self.key(id), as: LocatorValue.self) {
            lookup.locator = try Self.locator(words)
        }
        return lookup
    }

    private func standing(_ transaction: OpaquePointer?, _ id: RecordID) throws(IndexFailure) -> RecordStanding {
        guard let value = try standings.get(transaction, Self.key(id), as: StandingValue.self) else {
            return RecordStanding()
        }
        return Self.standing(value)
    }

    private func amendments(_ transaction: OpaquePointer?, of id: RecordID) throws(IndexFailure) -> [IndexedRecord] {
        var found: [IndexedRecord] = []
        let key = Self.key(id)
        var start: AmendmentKey = (key.0, key.1, 0, 0)
        try amendments.scan(transaction, from: &start) {
            (found_: AmendmentKey, value: AmendmentValue) throws(IndexFailure) in
            guard found_.0 == key.0, found_.1 == key.1 else { return false }
            let order = Amendment.Order(
                term: Term(rawValue: UInt64(bigEndian: found_.2)),
                sequence: UInt64(bigEndian: found_.3)
            )
            let amendment = Amendment(
                subject: id,
                kind: Amendment.Kind(rawValue: UInt16(truncatingIfNeeded: value.1)),
                order: order,
                reference: Amendment.Reference(high: value.3, low: value.4),
                issuedAtMilliseconds: Int64(bitPattern: value.2)
            )
            found.append(IndexedRecord(id: id, locator: try Self.locator(value.0), amendment: amendment))
            return true
        }
        return found
    }

    func reading<Value>(_ body: (OpaquePointer?) throws(IndexFailure) -> Value) throws(IndexFailure) -> Value {
        var transaction: OpaquePointer?
        try LMDBTable.check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &transaction), "begin")
        defer { mdb_txn_abort(transaction) }
        return try body(transaction)
    }

    func writing<Value>(_ body: (OpaquePointer?) throws(IndexFailure) -> Value) throws(IndexFailure) -> Value {
        var transaction: OpaquePointer?
        try LMDBTable.check(mdb_txn_begin(environment, nil, 0, &transaction), "begin")
        var isCommitted = false
        defer { if !isCommitted { mdb_txn_abort(transaction) } }
        let value = try body(transaction)
        // A failed commit frees the transaction too.
        isCommitted = true
        try LMDBTable.check(mdb_txn_commit(transaction), "commit")
        return value
    }

    // MARK: Keys and values

    private static let identityKey: RecordKey = (0, 0)

    static func key(_ id: RecordID) -> RecordKey { (id.high.bigEndian, id.low.bigEndian) }

    private static func key(of segment: SegmentID) -> RecordKey { (UInt64(1).bigEndian, segment.rawValue.bigEndian) }

    private static func key(_ amendment: Amendment) -> AmendmentKey {
        let subject = key(amendment.subject)
        return (subject.0, subject.1, amendment.order.term.rawValue.bigEndian, amendment.order.sequence.bigEndian)
    }

    private static func value(_ amendment: Amendment, _ locator: RecordLocator) -> AmendmentValue {
        (
            locator.words, UInt64(amendment.kind.rawValue), UInt64(bitPattern: amendment.issuedAtMilliseconds),
            amendment.reference.high, amendment.reference.low
        )
    }

    private static func value(_ standing: RecordStanding) -> StandingValue {
        let flags: UInt64 = (standing.isDeleted ? 1 : 0) | (standing.isHeld ? 2 : 0) | (standing.decided == nil ? 0 : 4)
        return (flags, standing.decided?.term.rawValue ?? 0, standing.decided?.sequence ?? 0)
    }

    private static func standing(_ value: StandingValue) -> RecordStanding {
        RecordStanding(
            isDeleted: value.0 & 1 != 0,
            isHeld: value.0 & 2 != 0,
            decided: value.0 & 4 == 0 ? nil : Amendment.Order(term: Term(rawValue: value.1), sequence: value.2)
        )
    }

    static func locator(_ words: LocatorValue) throws(IndexFailure) -> RecordLocator {
        guard let locator = RecordLocator(words: words) else { throw IndexFailure("read", number: MDB_CORRUPTED) }
        return locator
    }
}
