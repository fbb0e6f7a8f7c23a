// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport

/// A storage node that keeps records in memory and does as it is told: the test's side of ``ReplicationService``.
final class FakeService: ReplicationService {
    struct State {
        var records: [RecordID: (request: PutRequest, payload: ByteBuffer)] = [:]
        var failure: ReplicationError?
        /// Whether a get says what HEAD would.
        var saysHead = true
        var putCount = 0
        /// The records that puts were carried out for, in that order.
        var putOrder: [RecordID] = []
        var cancelledCount = 0
        var wholeCount = 0
        var streamedByteCount = 0
        var position = FencePosition()
        var persistFailure: ReplicationError?
        var amendments: [RecordAmendment] = []
        var purges: [PurgeRequest] = []
    }

    let state = NIOLockedValueBox(State())
    /// Puts wait here before they finish, gets before every chunk.
    let gate: Gate
    let chunkByteCount: Int
    /// What pulls are served with; without it they are not offered.
    let fetcher: RecordFetcher?

    init(gate: Gate = Gate(isOpen: true), chunkByteCount: Int = 64 * 1024, fetcher: RecordFetcher? = nil) {
        self.fetcher = fetcher
        self.gate = gate
        self.chunkByteCount = chunkByteCount
    }

    func put(_ request: PutRequest, data: PutData) async throws(ReplicationError) -> PutOutcome {
        state.withLockedValue { state in
            state.putCount += 1
            state.putOrder.append(request.recordID)
        }
        var payload = ByteBuffer()
        switch data {
        case .whole(let buffer):
            payload = buffer
            state.withLockedValue { $0.wholeCount += 1 }
        case .stream(let chunks):
            for try await chunk in chunks {
                await gate.pass()
                state.withLockedValue { $0.streamedByteCount += chunk.readableBytes }
                payload.writeImmutableBuffer(chunk)
            }
        }
        await gate.pass()
        if Task.isCancelled { state.withLockedValue { $0.cancelledCount += 1 } }
        let stored = payload
        return try state.withLockedValue { state -> Result<PutOutcome, ReplicationError> in
            if let failure = state.failure { return .failure(failure) }
            guard SHA256Hasher.digest(of: stored) == request.payloadDigest else {
                return .failure(ReplicationError(.checksumMismatch, "the payload does not match its digest"))
            }
            guard state.records[request.recordID] == nil else { return .success(.alreadyStored) }
            state.records[request.recordID] = (request, stored)
            return .success(.stored)
        }.get()
    }

    func head(_ id: RecordID) async throws(ReplicationError) -> HeadResult? {
        await gate.pass()
        try failIfTold()
        return state.withLockedValue { state in
            state.records[id].map { record in
                HeadResult(
                    metadata: record.request.metadata,
                    payloadByteCount: record.request.payloadByteCount,
                    payloadDigest: record.request.payloadDigest
                )
            }
        }
    }

    func get(
        _ id: RecordID,
        range: Range<UInt64>?,
        isBackground: Bool
    ) async throws(ReplicationError) -> GetSource {
        try failIfTold()
        guard let record = state.withLockedValue({ $0.records[id] }) else {
            throw ReplicationError(.notFound, "no such record")
        }
        let count = record.request.payloadByteCount
        let wanted = range ?? 0..<count
        guard wanted.lowerBound <= count else { throw ReplicationError(.rangeNotSatisfiable, "beyond the payload") }
        let part = wanted.lowerBound..<min(count, wanted.upperBound)
        var bytes = record.payload
        bytes.moveReaderIndex(forwardBy: Int(part.lowerBound))
        let rest = NIOLockedValueBox(bytes.readSlice(length: Int(part.upperBound - part.lowerBound)) ?? ByteBuffer())
        let (gate, chunkByteCount) = (gate, chunkByteCount)
        return GetSource(
            payloadByteCount: count,
            payloadDigest: record.request.payloadDigest,
            metadata: state.withLockedValue { $0.saysHead } ? record.request.metadata : nil,
            range: part
        ) { () async throws(ReplicationError) -> ByteBuffer? in
            await gate.pass()
            return rest.withLockedValue { rest in
                rest.readableBytes == 0 ? nil : rest.readSlice(length: min(chunkByteCount, rest.readableBytes))
            }
        }
    }

    func verify(_ id: RecordID) async throws(ReplicationError) {
        try failIfTold()
        guard state.withLockedValue({ $0.records[id] }) != nil else {
            throw ReplicationError(.notFound, "no such record")
        }
    }

    func list(group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] {
        try failIfTold()
        return state.withLockedValue { state in
            let ids = state.records.keys.filter { id in id.group == group && (after.map { $0 < id } ?? true) }
            return Array(ids.sorted().prefix(limit))
        }
    }

    func nodeStatus() async -> NodeStatusReport {
        state.withLockedValue { state in
            NodeStatusReport(
                recordCount: UInt64(state.records.count),
                usedBytes: 1,
                freeBytes: 2,
                acceptsWrites: true
            )
        }
    }

    // MARK: - Orders

    func amend(_ request: AmendRequest) async throws(ReplicationError) -> PutOutcome {
        await gate.pass()
        try failIfTold()
        let amendment = request.amendment
        return try state.withLockedValue { state -> Result<PutOutcome, ReplicationError> in
            let same = state.amendments.first {
                $0.recordID == amendment.recordID && $0.order == amendment.order
            }
            if let same {
                return same == amendment
                    ? .success(.alreadyStored) : .failure(ReplicationError(.conflict, "another has this number"))
            }
            state.amendments.append(amendment)
            if amendment.kind == .tombstone { state.records[amendment.recordID] = nil }
            return .success(.stored)
        }.get()
    }

    func amendments(_ request: AmendmentsRequest) async throws(ReplicationError) -> AmendmentPage {
        let all = state.withLockedValue { $0.amendments }
        let wanted = all.filter {
            ($0.recordID, $0.order) >= (request.first, request.firstOrder) && $0.recordID <= request.last
        }
        let sorted = wanted.sorted { ($0.recordID, $0.order) < ($1.recordID, $1.order) }
        return AmendmentPage(
            fitting: Array(sorted.prefix(request.limit)),
            hasMore: sorted.count > request.limit
        )
    }

    func digest(_ request: DigestRequest) async throws(ReplicationError) -> [DigestPart] {
        let records = state.withLockedValue { $0.records }
        var accumulator = DigestAccumulator(request)
        for (id, record) in records.sorted(by: { $0.key < $1.key }) {
            accumulator.add(id, payloadDigest: record.request.payloadDigest)
        }
        return accumulator.finish()
    }

    func pull(
        _ request: PullRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> PutOutcome {
        guard let fetcher else { throw ReplicationError(.unsupported, "no pulls here") }
        return try await fetcher.pull(request, into: self, progress: progress)
    }

    func purge(_ request: PurgeRequest) async throws(ReplicationError) -> PurgeResult {
        state.withLockedValue { $0.purges.append(request) }
        return PurgeResult(purgedSegmentCount: request.maximumSegmentCount, remainingSegmentCount: 1)
    }

    func fencePosition() async throws(ReplicationError) -> FencePosition {
        state.withLockedValue { $0.position }
    }

    func persist(_ position: FencePosition) async throws(ReplicationError) {
        if let failure = state.withLockedValue({ $0.persistFailure }) { throw failure }
        state.withLockedValue { $0.position = position }
    }

    private func failIfTold() throws(ReplicationError) {
        if let failure = state.withLockedValue({ $0.failure }) { throw failure }
    }
}

/// Something that tasks wait at until a test opens it.
final class Gate: Sendable {
    private struct State {
        var isOpen: Bool
        var waiters: [CheckedContinuation<Void, Never>] = []
        var arrivedCount = 0
        var arrivals: [(count: Int, CheckedContinuation<Void, Never>)] = []
    }

    private let state: NIOLockedValueBox<State>

    init(isOpen: Bool = false) {
        self.state = NIOLockedValueBox(State(isOpen: isOpen))
    }

    /// Waits until the gate is open.
    func pass() async {
        await withCheckedContinuation { continuation in
            let arrived = state.withLockedValue { state in
                state.arrivedCount += 1
                let arrived = state.arrivals.filter { $0.count <= state.arrivedCount }.map(\.1)
                state.arrivals.removeAll { $0.count <= state.arrivedCount }
                guard !state.isOpen else { return arrived + [continuation] }
                state.waiters.append(continuation)
                return arrived
            }
            for waiter in arrived { waiter.resume() }
        }
    }

    /// Waits until so many have come to the gate, over all time.
    func arrived(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLockedValue { state in
                if state.arrivedCount < count { state.arrivals.append((count, continuation)) }
                return state.arrivedCount >= count
            }
            if isThere { continuation.resume() }
        }
    }

    /// So many have come to the gate, over all time.
    var arrivedCount: Int { state.withLockedValue { $0.arrivedCount } }

    func open() {
        let waiters = state.withLockedValue { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Lets one through.
    func openOnce() {
        let waiter = state.withLockedValue { $0.waiters.isEmpty ? nil : $0.waiters.removeFirst() }
        waiter?.resume()
    }
}
