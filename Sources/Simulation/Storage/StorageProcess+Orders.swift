// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore
import SimulatedDisk

/// What coordinators ask of a storage node; follows `RecordService`'s parts for orders and healing.
extension StorageProcess {
    typealias Answer<Value> = (Result<Value, ReplicationError>) -> Void

    /// Carries out what the fence lets through.
    func fenced<Value>(
        _ demand: FenceDemand,
        _ answer: @escaping Answer<Value>,
        _ work: @escaping (@escaping Answer<Value>) -> Void
    ) {
        guard let fence, !world.has(.ignoreTerm) else { return work(answer) }
        fence.enter(demand) { refusal in
            if let refusal { return answer(.failure(refusal)) }
            work { result in
                if demand.isRemoval { fence.left() }
                answer(result)
            }
        }
    }

    // MARK: Amendments

    /// `applied` is called in the step itself, so that the order of calls is that of the store; with a failure, too, when its
    /// disk stopped in the middle of it.
    func amend(
        _ amendment: Amendment,
        _ stamp: OrderStamp,
        applied: @escaping (Result<AppendOutcome, SegmentStoreError>) -> Void = { _ in },
        _ answer: @escaping Answer<Void> = { _ in }
    ) {
        let new = NewAmendment(
            amendment: amendment,
            mapEpoch: stamp.mapEpoch,
            writtenAtMilliseconds: world.now / 1000
        )
        let authority = world.has(.ignoreTerm) ? Term(rawValue: 1 << 40) : stamp.term
        let demand: FenceDemand =
            amendment.kind.isFenced ? .removal(stamp) : .addition(term: nil, mapEpoch: stamp.mapEpoch)
        fenced(demand, answer) { [self] answer in
            step(100...900) { [self] engine in
                if world.has(.ignoreHold), amendment.kind == .tombstone { releaseHolds(&engine, amendment, authority) }
                let result =
                    engine.amend([new], under: authority).first
                    ?? .failure(SegmentStoreError(.invalid, "the amendment was not answered"))
                let crash = SegmentStoreError(.closed, "the disk stopped")
                applied(store.disk.isCrashed ? .failure(crash) : result)
                return result
            } _: {
                answer($0.map { _ in }.mapError(ReplicationError.init(store:)))
            }
        }
    }

    private func releaseHolds(_ engine: inout StoreEngine, _ tombstone: Amendment, _ authority: Term) {
        for stored in (try? engine.amendments(of: tombstone.subject)) ?? [] where stored.amendment.kind == .hold {
            var release = tombstone
            release.kind = .release
            release.reference = stored.amendment.reference
            release.order = .init(term: tombstone.order.term, sequence: tombstone.order.sequence + 500_000)
            let new = NewAmendment(amendment: release, mapEpoch: MapEpoch(rawValue: 1), writtenAtMilliseconds: 0)
            _ = engine.amend([new], under: authority)
        }
    }

    /// A page of the amendments of a range of records of one group.
    func amendments(_ request: AmendmentsRequest, _ answer: @escaping Answer<AmendmentPage>) {
        step(20...300) { engine in
            Result { () throws(SegmentStoreError) in
                let view = engine.view
                var found: [RecordAmendment] = []
                var isComplete = true
                for id in try view.listAmended(group: request.first.group, limit: .max)
                where id >= request.first && id <= request.last {
                    let (stored, isAll) = try view.readableAmendments(of: id)
                    let all = stored.map(RecordAmendment.init).sorted { $0.order < $1.order }
                    isComplete = isComplete && isAll
                    found += id == request.first ? all.filter { $0.order >= request.firstOrder } : all
                }
                let page = found.prefix(request.limit)
                return AmendmentPage(Array(page), hasMore: page.count < found.count, isComplete: isComplete)
            }.mapError(ReplicationError.init(store:))
        } _: {
            answer($0)
        }
    }

    // MARK: Healing

    func damage(_ request: DamageRequest, _ answer: @escaping Answer<DamageReport>) {
        let first = request.first
        let position =
            first == .start
            ? nil
            : DamagePosition(
                segment: SegmentID(rawValue: first.segment),
                offset: first.offset,
                after: first.after
            )
        step(100...900) { engine in
            Result { () throws(SegmentStoreError) in
                let page = try engine.view.damage(from: position, limit: request.limit)
                return DamageReport(
                    missing: page.ranges.flatMap(\.missing),
                    isComplete: page.ranges.allSatisfy(\.isComplete),
                    next: page.next.map {
                        DamageCursor(disk: 0, segment: $0.segment.rawValue, offset: $0.offset, after: $0.after)
                    },
                    unnamed: page.unnamed
                )
            }.mapError(ReplicationError.init(store:))
        } _: {
            answer($0)
        }
    }

    /// In two steps, as `SegmentStore.clearHealedDamage` does it; others may come between them.
    func healed(_ request: HealedRequest, _ answer: @escaping Answer<UInt64>) {
        fenced(.removal(request.stamp), answer) { [self] answer in
            step(100...900) { engine in
                Result { () throws(SegmentStoreError) in try engine.view.damage(from: nil, limit: .max) }
            } _: { [self] (page: Result<DamagePage, SegmentStoreError>) in
                guard case .success(var page) = page else {
                    return answer(.failure(ReplicationError(.corrupt, "the damage can't be told")))
                }
                let isReconciled = request.reconciled == page.unnamed
                for range in page.ranges {
                    world.note(
                        "\(name) has damage at \(range.quarantined.range) of \(range.quarantined.segment), missing "
                            + "\(range.missing)\(range.isComplete ? "" : " and what it can't name")"
                    )
                }
                if world.has(.clearUnhealed) {
                    for index in page.ranges.indices { page.ranges[index].missing = [] }
                }
                clear(page.ranges, isReconciled: isReconciled || world.has(.clearUnhealed), answer)
            }
        }
    }

    private func clear(_ ranges: [DamagedRange], isReconciled: Bool, _ answer: @escaping Answer<UInt64>) {
        step(100...900) { engine in
            Result { () throws(SegmentStoreError) in
                let remaining = try engine.clearDamage(ranges, isReconciled: isReconciled)
                if isReconciled, remaining == 0, engine.status.isUncertain { try engine.markReconciled() }
                return UInt64(remaining)
            }.mapError(ReplicationError.init(store:))
        } _: {
            answer($0)
        }
    }

    /// Fetches a record from another node, as `RecordFetcher` does.
    ///
    /// Between storage nodes nothing gets lost but time.
    func pull(_ id: RecordID, from source: StorageProcess, _ stamp: OrderStamp, _ answer: @escaping Answer<Void>) {
        fenced(.addition(term: stamp.term, mapEpoch: stamp.mapEpoch), answer) { [self] answer in
            // A copy that was made and not counted is as good; one that is damaged is fetched.
            hasWhole(id) { [self] result in
                if case .success(true) = result { return answer(.success(())) }
                fetch(id, from: source, stamp, answer)
            }
        }
    }

    private func fetch(
        _ id: RecordID,
        from source: StorageProcess,
        _ stamp: OrderStamp,
        _ answer: @escaping Answer<Void>
    ) {
        let heard: Answer<(HeadResult, ByteBuffer)> = callback { [self] result in
            switch result {
            case .failure(let error): answer(.failure(error))
            case .success((let head, let payload)): keep(id, head, payload, stamp, answer)
            }
        }
        guard source.isRunning else {
            return heard(.failure(ReplicationError(.connectionLost, "the source is away")))
        }
        source.after(world.time(100...1_500)) {
            source.head(id) { result in
                switch result {
                case .failure(let error): heard(.failure(error))
                case .success(nil): heard(.failure(ReplicationError(.notFound, "the source does not have it")))
                case .success(let head?):
                    source.read(id, 0..<Int(head.payloadByteCount)) { heard($0.map { (head, $0) }) }
                }
            }
        }
    }

    private func keep(
        _ id: RecordID,
        _ head: HeadResult,
        _ payload: ByteBuffer,
        _ stamp: OrderStamp,
        _ answer: @escaping Answer<Void>
    ) {
        var payload = payload
        if world.has(.pullUnchecked), payload.readableBytes > 0 {
            payload.setInteger(~(payload.getInteger(at: payload.readerIndex) ?? UInt8(0)), at: payload.readerIndex)
        } else if SHA256Hasher.digest(of: payload) != head.payloadDigest {
            return answer(.failure(ReplicationError(.corrupt, "the source's bytes do not match its digest")))
        }
        let request = PutRequest(
            recordID: id,
            recordType: 1,
            metadata: head.metadata,
            payloadByteCount: head.payloadByteCount,
            payloadDigest: head.payloadDigest,
            mapEpoch: stamp.mapEpoch,
            term: stamp.term
        )
        guard payload.readableBytes <= Limits.wholeByteCount else { return keepLarge(request, payload, answer) }
        put(request, payload: payload) { answer($0.map { _ in }) }
    }

    private func keepLarge(_ request: PutRequest, _ payload: ByteBuffer, _ answer: @escaping Answer<Void>) {
        let record = NewLargeRecord(
            id: request.recordID,
            type: .instance,
            metadata: request.metadata,
            payloadByteCount: request.payloadByteCount,
            payloadDigest: request.payloadDigest,
            mapEpoch: request.mapEpoch,
            writtenAtMilliseconds: world.now / 1000
        )
        step(200...2_000) { engine in
            Result { () throws(SegmentStoreError) in
                var large = try engine.beginLarge(record)
                // As the product does: what is there already is compared with what comes.
                try large.write(payload)
                _ = try engine.commit(large)
            }.mapError(ReplicationError.init(put:))
        } _: {
            answer($0)
        }
    }

    // MARK: Repair

    /// Whether it has a record, and whole; as the coordinator's connection asks it, with a HEAD and a VERIFY.
    func hasWhole(_ id: RecordID, _ answer: @escaping Answer<Bool>) {
        head(id) { [self] result in
            switch result {
            case .failure(let error): answer(.failure(error))
            case .success(nil): answer(.success(false))
            case .success:
                step(50...600) { [self] engine in
                    Result { () throws(SegmentStoreError) in
                        try engine.verify(id)
                        wasRead(id, store.id)
                        return true
                    }.mapError(ReplicationError.init(store:))
                } _: {
                    answer($0)
                }
            }
        }
    }

    // MARK: Purging

    /// Removes what has been in the trash for long enough.
    func purge(_ permit: Amendment.Reference, _ stamp: OrderStamp) {
        fenced(.removal(stamp), { (_: Result<Void, ReplicationError>) in }) { [self] answer in
            step(100...900) { engine in
                for trashed in engine.status.trash {
                    // Its time may not be over; there will be another permit.
                    _ = Result { () throws(SegmentStoreError) in
                        try engine.purge(trashed.segment, permit: permit, under: stamp.term)
                    }
                }
            } _: {
                answer(.success(()))
            }
        }
    }
}

extension RecordAmendment {
    fileprivate init(_ stored: StoredAmendment) {
        let amendment = stored.amendment
        self.init(
            recordID: amendment.subject,
            kind: Kind(rawValue: amendment.kind.rawValue),
            order: Order(term: amendment.order.term, sequence: amendment.order.sequence),
            reference: ReferenceID(high: amendment.reference.high, low: amendment.reference.low),
            issuedAtMilliseconds: amendment.issuedAtMilliseconds,
            payload: stored.payload
        )
    }
}

extension Amendment {
    init(_ amendment: RecordAmendment) {
        self.init(
            subject: amendment.recordID,
            kind: Kind(rawValue: amendment.kind.rawValue),
            order: Order(term: amendment.order.term, sequence: amendment.order.sequence),
            reference: Reference(high: amendment.reference.high, low: amendment.reference.low),
            issuedAtMilliseconds: amendment.issuedAtMilliseconds
        )
    }
}
