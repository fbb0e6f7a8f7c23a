// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore
import SimulatedDisk

/// A storage node: its store, its connections, and the threads that take one step after another.
///
/// The steps are those of `StoreEngine`; when each takes place is for chance to say. Follows `RecordService` and
/// `SegmentStore`'s shell: puts wait for the writer, which takes them in batches; reads and large writes go on beside it.
final class StorageProcess: Process {
    typealias PutAnswer = (Result<PutOutcome, ReplicationError>) -> Void

    let store: NodeStore
    let domain: FailureDomain
    var memory = ServerMemory()
    var connections: [ServerEnd] = []
    private var waiting: [(record: NewRecord, answer: PutAnswer)] = []
    private var isWriting = false
    /// How much slower than usual the disk is.
    var slowness: Int64 = 1
    private(set) var incarnation: UInt64 = 0
    /// Whether it has been taken into the cluster, ever.
    var isMember = true
    /// Its machine is gone with all its disks, for good.
    private(set) var isLost = false
    /// When it died or was stopped last.
    private(set) var downSince: Int64 = 0
    /// Of this life.
    private(set) var fence: NodeFence?
    private var upkeep: NodeUpkeep?
    /// Segments that are to be checked before the end of the run is looked at.
    var unchecked: Set<SegmentID> = []
    /// Told when it says for certain that it does not have a record.
    var denied: (RecordID, NodeID) -> Void = { _, _ in }
    /// The last order to let copies go, of this life.
    var lastDrop: Amendment.Order?
    /// Told when it has let a copy go, and whether it was to hold it whatever is elsewhere.
    var dropped: (RecordID, NodeID, Bool) -> Void = { _, _, _ in }
    /// Told when it has read a copy whole.
    var wasRead: (RecordID, NodeID) -> Void = { _, _ in }
    /// Told when the process is dead because its disk stopped at an effect.
    var crashed: (StorageProcess) -> Void = { _ in }

    init(world: World, number: Int, host: Int, cluster: ClusterID) {
        self.store = NodeStore(world: world, number: number, cluster: cluster)
        self.domain = FailureDomain(site: "s", rack: "r", host: "host-\(host)")
        super.init(world: world, name: "node-\(number)")
    }

    /// Whether it has come round to every segment that it was to check; what it has no more needs no check.
    var isChecked: Bool { !isRunning || unchecked.isDisjoint(with: store.engine?.view.segmentIDs ?? []) }

    var member: StorageMember {
        StorageMember(id: store.id, name: name, host: name, port: store.number, domain: domain)
    }

    /// What it says of its capacity: as the plan has it, and half of that where a disk did not come up with it.
    var saidWeight: UInt32 {
        let weight = world.plan.weights[store.number]
        return incarnation % 5 == 4 ? weight / 2 : weight
    }

    var identity: HelloIdentity {
        HelloIdentity(
            clusterID: store.configuration.clusterID,
            nodeID: store.id,
            incarnation: incarnation,
            role: .storage,
            domain: domain
        )
    }

    // MARK: Life

    /// Starts; on failure the process is dead again, and the claim is false.
    func start() -> Bool {
        do throws(SegmentStoreError) {
            try store.open()
        } catch {
            tellDiskFaults()
            world.note("\(name) does not start: \(error)")
            store.kill()
            if !store.isUnsound, error.code != .openFailed {
                world.violate("\(name), whose disk keeps its word, can't be opened: \(error)")
            }
            lastStartFailure = error
            return false
        }
        lastStartFailure = nil
        incarnation += 1
        started()
        memory = ServerMemory()
        waiting = []
        isWriting = false
        lastDrop = nil
        fence = NodeFence(self)
        upkeep = NodeUpkeep(self)
        upkeep?.start()
        tellDiskFaults()
        world.note("\(name) starts, uncertain: \(store.engine?.status.isUncertain ?? false)")
        world.mix(UInt64(store.number) << 8 | 1)
        return true
    }

    private(set) var lastStartFailure: SegmentStoreError?

    override func died() {
        super.died()
        downSince = world.now
    }

    /// Is never seen again.
    func lose() {
        isLost = true
        unchecked = []
        if isRunning { die(withPower: true) }
        world.note("\(name) is lost with all that it has")
    }

    /// Dies; its system ends its connections, unless it dies too.
    func die(withPower: Bool) {
        died()
        world.note("\(name) dies\(withPower ? " with its machine" : "")")
        if withPower { store.losePower() } else { store.kill() }
        for connection in connections {
            connection.forget()
            if !withPower { connection.wire.killed(.toClient) }
        }
        connections = []
    }

    /// Leaves in order.
    func stop() {
        for connection in connections {
            connection.forget()
            connection.wire.killed(.toClient)
        }
        connections = []
        store.close()
        died()
    }

    /// Whether it has been told to hold a record.
    func holds(_ id: RecordID) -> Bool { (try? store.engine?.standing(of: id))?.isHeld ?? false }

    /// Lets go of who waits for it.
    func forget() {
        waiting = []
        memory = ServerMemory()
    }

    /// Whether the process lives on after a step; it may have died in the middle of it.
    private func survived() -> Bool {
        tellDiskFaults()
        guard store.disk.isCrashed else { return true }
        crashed(self)
        return false
    }

    func tellDiskFaults() {
        for (kind, detail) in store.faults.takeHappened() {
            if kind == .lostWrite || kind == .misdirectedWrite { store.damageCount = nil }
            world.count(kind, "\(name): \(detail)")
        }
    }

    private func diskTime(_ range: ClosedRange<Int64>) -> Int64 { world.time(range) * slowness }

    // MARK: Steps

    /// Runs a step of the store on a disk thread and tells its result on the event loop.
    func step<Value>(
        _ time: ClosedRange<Int64> = 50...600,
        _ work: @escaping (inout StoreEngine) -> Value,
        _ finished: @escaping (Value) -> Void
    ) {
        after(diskTime(time)) { [self] in
            guard var engine = store.engine else { return }
            store.engine = nil
            let value = work(&engine)
            store.engine = engine
            guard survived() else { return }
            after(world.time(5...60)) { finished(value) }
        }
    }

    func put(_ request: PutRequest, payload: ByteBuffer, _ answer: @escaping PutAnswer) {
        guard request.recordType == RecordType.instance.rawValue else {
            return answer(.failure(ReplicationError(.unsupported, "record type \(request.recordType)")))
        }
        let record = NewRecord(
            id: request.recordID,
            type: RecordType(rawValue: request.recordType),
            metadata: request.metadata,
            payload: payload,
            payloadDigest: request.payloadDigest,
            mapEpoch: request.mapEpoch,
            writtenAtMilliseconds: world.now / 1000,
            digestIsVerified: true
        )
        if world.has(.acknowledgeBeforeSync) {
            waiting.append((record, { _ in }))
            answer(.success(.stored))
        } else {
            waiting.append((record, answer))
        }
        write()
    }

    private func write() {
        guard !isWriting, !waiting.isEmpty else { return }
        isWriting = true
        after(diskTime(20...200)) { [self] in
            let batch = Array(waiting.prefix(world.number(1...16)))
            waiting.removeFirst(batch.count)
            step(100...900) { engine in
                engine.append(batch.map(\.record))
            } _: { [self] results in
                isWriting = false
                for (put, result) in zip(batch, results) {
                    put.answer(result.map(PutOutcome.init(stored:)).mapError(ReplicationError.init(put:)))
                }
                write()
            }
        }
    }

    func head(_ id: RecordID, _ answer: @escaping (Result<HeadResult?, ReplicationError>) -> Void) {
        step(20...300) { engine -> Result<HeadResult?, ReplicationError> in
            let isUncertain = engine.status.isUncertain
            return Result { () throws(SegmentStoreError) in try engine.head(id) }
                .mapError(ReplicationError.init(store:))
                .flatMap { info in
                    guard let info else {
                        guard isUncertain, !self.world.has(.certainWhenUncertain) else { return .success(nil) }
                        return .failure(ReplicationError(.unknown, "part of this node's disk is unreadable"))
                    }
                    return .success(
                        HeadResult(
                            metadata: info.metadata,
                            payloadByteCount: info.payloadByteCount,
                            payloadDigest: info.payloadDigest
                        )
                    )
                }
        } _: { [self] result in
            if case .success(nil) = result { denied(id, store.id) }
            answer(result)
        }
    }

    func read(_ id: RecordID, _ range: Range<Int>, _ answer: @escaping (Result<ByteBuffer, ReplicationError>) -> Void) {
        step(20...400) { engine in
            if let raw = self.readUnchecked(id, range) { return .success(raw) }
            return Result { () throws(SegmentStoreError) in try engine.read(id, range: range) }
                .mapError(ReplicationError.init(store:))
        } _: {
            answer($0)
        }
    }

    /// What a node reads that does not check what it reads.
    private func readUnchecked(_ id: RecordID, _ range: Range<Int>) -> ByteBuffer? {
        guard world.has(.ignoreChecksumOnRead) || world.has(.ignoreOwnPlaceOnRead),
            let locator = store.locator(of: id),
            let bytes = store.disk.bytes(at: "/data/store/segments/\(locator.segment.fileName)")
        else { return nil }
        let start = Int(locator.offset)
        guard start + Int(locator.extent.byteCount) <= bytes.count else { return nil }
        var payloadStart = start + Int(locator.extent.payloadOffset)
        if world.has(.ignoreOwnPlaceOnRead) {
            let head = ByteBuffer(bytes: bytes[start..<min(bytes.count, start + RecordHeader.byteCount)])
            guard let header = try? RecordHeader(decoding: head) else { return nil }
            payloadStart = start + Int(header.extent.payloadOffset)
        }
        guard payloadStart + range.upperBound <= bytes.count else { return nil }
        return ByteBuffer(bytes: bytes[(payloadStart + range.lowerBound)..<(payloadStart + range.upperBound)])
    }

    func list(
        _ request: ListRequest,
        _ answer: @escaping (Result<[RecordID], ReplicationError>) -> Void
    ) {
        step(20...300) { engine in
            Result { () throws(SegmentStoreError) in
                try engine.list(group: request.group, after: request.after, limit: request.limit)
            }.mapError(ReplicationError.init(store:))
        } _: {
            answer($0)
        }
    }
}

extension PutOutcome {
    init(stored outcome: AppendOutcome) { self = outcome == .stored ? .stored : .alreadyStored }
}

extension ReplicationError {
    /// What is deleted is not to come back by being sent again.
    init(put error: SegmentStoreError) {
        if error.code == .deleted { self.init(.conflict, error.description) } else { self.init(store: error) }
    }

    /// The store's failure in the protocol's words, as StorageNode puts it.
    init(store error: SegmentStoreError) {
        let code: Code =
            switch error.code {
            case .notFound, .deleted: .notFound
            case .staleTerm: .staleTerm
            case .held: .held
            case .checksumMismatch, .readFailed: .corrupt
            case .conflict: .conflict
            case .digestMismatch: .checksumMismatch
            case .invalid: .invalidRequest
            case .tooLarge: .tooLarge
            case .full: .diskFull
            case .writeFailed: .diskFailed
            case .overloaded: .overloaded
            case .closed: .shuttingDown
            default: .internal
            }
        self.init(code, error.code.description)
    }
}
