// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
import Placement
import ReplicationProtocol

/// Takes one recall as far as it goes now, under one coordinator's term: records of a pack are read by a node that is to have them,
/// others fetch them from it, and what enough nodes have is counted.
///
/// Every batch is entered in the catalog before the next begins. It may be cut off anywhere, and begun again by another: what was
/// stored and not counted is found whole on its node.
package struct RecallRun: Sendable {
    let ledger: any RecallLedger
    let view: RecallView
    let limits: RecallLimits
    let clock: RepairClock
    let logger: Logger
    /// Whether a person waits for another study, and this one is only wanted by rules.
    let givesWay: @Sendable () -> Bool

    package init(
        ledger: any RecallLedger,
        view: RecallView,
        limits: RecallLimits = RecallLimits(),
        clock: RepairClock = .continuous,
        logger: Logger,
        givesWay: @escaping @Sendable () -> Bool = { false }
    ) {
        self.ledger = ledger
        self.view = view
        self.limits = limits
        self.clock = clock
        self.logger = logger
        self.givesWay = givesWay
    }

    private var term: Term { view.stamp.term }

    /// On so many hosts nodes have to have a record before it is counted.
    private var least: Int { min(limits.leastCopies, view.copies) }

    private func targets(of records: [RecallableRecord], attempt: Int) -> [StorageMember] {
        guard let first = records.first else { return [] }
        func among(_ answering: Set<NodeID>) -> [StorageMember] {
            RecallPlan.targets(
                of: first.record.group,
                map: view.map,
                copies: view.copies,
                answering: answering,
                least: limits.leastCopies
            )
        }
        let answering = Set(view.peers.keys)
        guard attempt >= limits.settlings else { return among(answering) }
        // They have had their time to say that the copies are gone.
        let standing = among(answering.subtracting(records.flatMap(\.dropping)))
        return RecallPlan.hostCount(standing) < least ? among(answering) : standing
    }

    /// Why records did not come back.
    private struct Failures {
        var notes: [String] = []
        /// Whether it may be otherwise by itself.
        var mayPass = false
        /// Packs that are on media that are not at hand.
        var media: [RecallableRecord.Pack] = []

        mutating func add(_ note: String, mayPass: Bool) {
            // Each is there once; a few say what is to be done.
            if notes.count < 3, !notes.contains(note) { notes.append(note) }
            self.mayPass = self.mayPass || mayPass
        }
    }

    /// Works on the recall until it has to wait, needs a person or is done.
    package func run(_ recall: StudyRecall) async throws(CatalogError) {
        var batchCount = 0
        while !Task.isCancelled {
            var left = try await ledger.recallableRecords(of: recall.id)
            var tried = RecallPlan.Tried()
            var failures = Failures()
            guard !left.isEmpty else { return try await finish(recall) }
            // All of a study is of one group.
            let targets = targets(of: left, attempt: recall.attemptCount)
            let hosts = RecallPlan.hostCount(targets)
            guard hosts >= least else {
                failures.add("storage nodes answer on only \(hosts) of the \(least) hosts that it takes", mayPass: true)
                return try await giveUp(recall, left, failures)
            }
            func next() -> RecallPlan.Step {
                RecallPlan.next(left, tried, targets: targets, least: least, limits: limits)
            }
            let packs = try await ledger.packs(ofStudy: recall.studyInstanceUID)
            while case .read(let batch) = next() {
                guard !Task.isCancelled, !givesWay(), batchCount < limits.batchesAtOnce else { return }
                batchCount += 1
                guard let pack = packs.first(where: { ($0.idHigh, $0.idLow) == (batch.pack.high, batch.pack.low) })
                else {
                    tried.packs.insert(batch.pack)
                    continue
                }
                let began = clock.now()
                switch try await carryOut(batch, of: pack, to: targets, recall, &tried, &failures) {
                case .over: return
                case .counted(let records):
                    left.removeAll { records.contains($0.record) }
                    await pace(batch, recall, since: began)
                }
            }
            switch next() {
            // What is left is asked of the catalog.
            case .finish, .read: continue
            case .settle:
                return try await ledger.postpone(
                    recall: recall.id,
                    by: limits.settlingPause,
                    // It needs no person, however often.
                    attempts: max(recall.attemptCount, min(recall.attemptCount + 1, limits.settlings)),
                    note: "nodes were told to drop copies, and have not said yet that these are gone",
                    term: term
                )
            case .giveUp: return try await giveUp(recall, left, failures)
            }
        }
    }

    /// Unless it was ended meanwhile, with something in packs only yet.
    private func finish(_ recall: StudyRecall) async throws(CatalogError) {
        let isDone = try await ledger.finish(
            recall: recall.id,
            note: "what was in packs only is on storage nodes again; the packs stay",
            term: term
        )
        if isDone { logger.notice("a study has been recalled from packs", metadata: facts(recall)) }
    }

    /// Waits, or leaves the recall to a person.
    private func giveUp(
        _ recall: StudyRecall,
        _ left: [RecallableRecord],
        _ failures: Failures
    ) async throws(CatalogError) {
        var notes = failures.notes
        if left.contains(where: { $0.pack == nil }) { notes.append("some are in no pack that can be read from") }
        let count = Set(left.map(\.record)).count
        guard failures.media.isEmpty else {
            // However long it takes, and whatever else is in the way: that is looked at when the media are there.
            return try await ledger.waitForMedia(
                recall: recall.id,
                packs: failures.media,
                pauses: limits.mediaPauses,
                note: "\(count) instances are in packs only yet: \(notes.joined(separator: "; "))",
                term: term
            )
        }
        let attempts = recall.attemptCount + 1
        // What no pack has sound no waiting helps.
        let pause = failures.mayPass ? limits.pause(afterAttempt: attempts) : nil
        if pause == nil {
            logger.error(
                "a study cannot be recalled and needs a person; 'varve tier recalls' tells which, and why",
                metadata: facts(recall)
            )
        }
        try await ledger.postpone(
            recall: recall.id,
            by: pause,
            attempts: attempts,
            note: "\(count) instances are in packs only yet: \(notes.joined(separator: "; "))",
            term: term
        )
    }

    // MARK: - Batches

    private enum BatchOutcome {
        /// These are on storage nodes again.
        case counted(Set<RecordID>)
        /// Another leads, or the recall has ended.
        case over
    }

    private func carryOut(
        _ batch: RecallPlan.Batch,
        of pack: ColdPack,
        to members: [StorageMember],
        _ recall: StudyRecall,
        _ tried: inout RecallPlan.Tried,
        _ failures: inout Failures
    ) async throws(CatalogError) -> BatchOutcome {
        guard let digest = pack.digest else {
            tried.packs.insert(batch.pack)
            failures.add("of a pack the SHA-256 is not known", mayPass: false)
            return .counted([])
        }
        let targets = members.filter { !batch.avoided.contains($0.id) }.compactMap { view.peers[$0.id] }
        let request = RecallRequest(
            reference: PackReference(pack),
            stamp: view.stamp,
            byteCount: UInt64(max(0, pack.byteCount)),
            digest: digest,
            records: batch.records
        )
        var reading: (reader: any RecallPeer, outcomes: [RecallOutcome])?
        var isOffline = false
        for node in RecallPlan.readers(targets.map(\.id), attempt: recall.attemptCount) {
            guard let reader = view.peers[node], reading == nil, !Task.isCancelled else { continue }
            switch await read(request, by: reader) {
            case .success(let outcomes): reading = (reader, outcomes)
            case .failure(let error):
                isOffline = isOffline || error.code == .offline
                if error.code == .staleTerm || error.code == .staleEpoch { return .over }
                failures.add("\(reader.name): \(error)", mayPass: error.code != .corrupt)
                if error.code == .corrupt { await doubt(pack, "while it was recalled from: \(error.message)") }
            }
        }
        guard let (reader, outcomes) = reading else {
            tried.packs.insert(batch.pack)
            if isOffline {
                failures.media.append(batch.pack)
                try await ledger.note(pack, isOffline: true)
            }
            return .counted([])
        }
        if recall.waitsSinceMilliseconds != nil { try await ledger.note(pack, isOffline: false) }
        let stored = try await note(outcomes, of: batch, pack, recall.id, by: reader, &tried, &failures)
        let copies = RecallCopies(
            source: reader,
            targets: targets.filter { $0.id != reader.id },
            stamp: view.stamp,
            limits: limits
        )
        let (holders, reasons) = await copies.make(of: stored)
        for reason in reasons { failures.add(reason, mayPass: true) }
        let (enough, few) = (holders.filter { isEnough($0.value) }, holders.filter { !isEnough($0.value) })
        // They are on some node, and found there the next time.
        for record in few.keys { tried.records.insert(RecallPlan.Tried.Record(record: record, pack: batch.pack)) }
        return try await count(enough, recall)
    }

    private func isEnough(_ holders: [NodeID]) -> Bool {
        RecallPlan.hostCount(holders.compactMap { view.map[$0] }) >= least
    }

    private func read(
        _ request: RecallRequest,
        by reader: any RecallPeer
    ) async -> Result<[RecallOutcome], ReplicationError> {
        do throws(ReplicationError) {
            return .success(try await reader.recall(request))
        } catch {
            guard error.code == .offline, let reference = request.reference.restoring else { return .failure(error) }
            // The same once more, by a node that knows how to have it restored.
            var request = request
            request.reference = reference
            do throws(ReplicationError) {
                return .success(try await reader.recall(request))
            } catch {
                return .failure(error)
            }
        }
    }

    /// The records that the reader has now; the others are noted.
    private func note(
        _ outcomes: [RecallOutcome],
        of batch: RecallPlan.Batch,
        _ pack: ColdPack,
        _ recall: Int64,
        by reader: any RecallPeer,
        _ tried: inout RecallPlan.Tried,
        _ failures: inout Failures
    ) async throws(CatalogError) -> [RecordID] {
        var stored: [RecordID] = []
        var damagedCount = 0
        for (record, outcome) in zip(batch.records, outcomes) {
            switch outcome {
            case .stored, .alreadyStored: stored.append(record)
            case .damaged, .absent:
                damagedCount += 1
                tried.records.insert(RecallPlan.Tried.Record(record: record, pack: batch.pack))
            case .refused:
                tried.records.insert(RecallPlan.Tried.Record(record: record, pack: batch.pack))
                let note = "\(reader.name) has other records under the ids, or they are deleted there"
                failures.add(note, mayPass: false)
            }
        }
        if damagedCount > 0 {
            let note = "instances in a pack of tier \(pack.tier) are damaged; restore its file from a backup"
            failures.add(note, mayPass: false)
            logger.error(
                "a pack has damaged instances, which were not recalled from it",
                metadata: ["recall": "\(recall)", "tier": "\(pack.tier)", "count": "\(damagedCount)"]
            )
            await doubt(pack, "while it was recalled from: \(damagedCount) instances are not what they should be")
        }
        return stored
    }

    /// Whoever reads from it next reports it again.
    private func doubt(_ pack: ColdPack, _ note: String) async {
        do throws(CatalogError) {
            try await ledger.doubt(pack, note: note)
        } catch {
            logger.debug("a pack that is in doubt could not be noted", metadata: ["reason": "\(error)"])
        }
    }

    private func count(
        _ holders: [RecordID: [NodeID]],
        _ recall: StudyRecall
    ) async throws(CatalogError) -> BatchOutcome {
        guard !holders.isEmpty else { return .counted([]) }
        var numbers: [[NodeID]: Int32] = [:]
        var counted: [RecalledRecord] = []
        for (record, nodes) in holders.sorted(by: { $0.key < $1.key }) {
            let set = nodes.sorted()
            let number: Int32
            if let known = numbers[set] { number = known } else { number = try await ledger.placementNumber(of: set) }
            numbers[set] = number
            counted.append(RecalledRecord(record: record, placement: number))
        }
        switch try await ledger.countRecalled(counted, ofRecall: recall.id, term: term) {
        case .ended: return .over
        case .counted: return .counted(Set(holders.keys))
        }
    }

    /// What only rules want leaves room for those who are served.
    private func pace(_ batch: RecallPlan.Batch, _ recall: StudyRecall, since began: Duration) async {
        guard recall.urgency == .policy, limits.bytesPerSecond > 0, let first = batch.records.first else { return }
        let holders = view.map.holders(of: first.group, copies: view.copies)
        guard !view.idle.isSuperset(of: holders) else { return }
        let due = Duration.seconds(1) * (Double(batch.byteCount) / Double(limits.bytesPerSecond))
        let rest = due - (clock.now() - began)
        // Cancellation ends the wait.
        if rest > .zero { await clock.sleep(rest) }
    }

    private func facts(_ recall: StudyRecall) -> Logger.Metadata {
        ["recall": "\(recall.id)"]
    }
}
