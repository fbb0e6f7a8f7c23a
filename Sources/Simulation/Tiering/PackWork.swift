// SPDX-License-Identifier: Apache-2.0

import Checksums
import ColdStore
import DICOM
import NIOCore
import PackFormat
import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// What a storage node does about a pack in one of its lives: the real writer, reader and verifier of packs, between its own store and
/// the cold one. Follows `PackBuilder`, `PackedRecord` and `PackCheck` step by step.
// Safety: made, used and let go of on its world's one thread, where `WorldExecutor` runs the tasks that have it.
final class PackWork: @unchecked Sendable {
    private let node: StorageProcess
    private let life: Int
    private let model: ColdStoreModel
    private let store: SimulatedObjectStore
    private let others: (NodeID) -> StorageProcess?
    /// Told of a pack that was read whole and found sound: its key, who read it, and since when.
    private let proven: (String, NodeID, Int64) -> Void
    private var world: World { node.world }

    init(
        _ node: StorageProcess,
        _ model: ColdStoreModel,
        others: @escaping (NodeID) -> StorageProcess?,
        proven: @escaping (String, NodeID, Int64) -> Void
    ) {
        self.node = node
        self.life = node.generation
        self.model = model
        self.store = SimulatedObjectStore(model, of: node)
        self.others = others
        self.proven = proven
    }

    private var isAlive: Bool { node.isRunning && node.generation == life }

    // MARK: Orders

    func build(_ request: BuildPackRequest, _ answer: @escaping (Result<BuiltPack, ReplicationError>) -> Void) {
        start(answer) { (work) async throws(ReplicationError) in try await work.build(request) }
    }

    func verify(_ request: VerifyPackRequest, _ answer: @escaping (Result<Void, ReplicationError>) -> Void) {
        start(answer) { (work) async throws(ReplicationError) in try await work.verify(request) }
    }

    /// Works on, whether somebody waits or not; a dead process answers nobody.
    private func start<Value: Sendable>(
        _ answer: @escaping (Result<Value, ReplicationError>) -> Void,
        _ body: @escaping @Sendable (PackWork) async throws(ReplicationError) -> Value
    ) {
        let waiting = Waiting(answer: answer)
        Task(executorPreference: world.executor) { [self] in
            let result = await Result { () async throws(ReplicationError) in try await body(self) }
            if isAlive { waiting.answer(result) }
        }
    }

    // Safety: as `PackWork`.
    private struct Waiting<Value>: @unchecked Sendable {
        let answer: (Result<Value, ReplicationError>) -> Void
    }

    // MARK: Building

    private func build(_ request: BuildPackRequest) async throws(ReplicationError) -> BuiltPack {
        let study = try Self.uid(request.reference.studyInstanceUID)
        let description = PackDescription(
            id: PackID(high: request.reference.pack.high, low: request.reference.pack.low),
            cluster: world.plan.cluster,
            studyInstanceUID: study,
            part: Int(request.part),
            partCount: Int(request.partCount),
            createdAtMilliseconds: request.createdAtMilliseconds
        )
        guard let key = ObjectKey(description.key) else {
            throw ReplicationError(.invalidRequest, "the study's UID can't be a name in a store")
        }
        do throws(ColdStoreError) {
            if try await store.status(of: key) == nil {
                do throws(ColdStoreError) {
                    let summary = try await write(description, key, request)
                    return BuiltPack(outcome: .stored, byteCount: summary.byteCount, digest: summary.digest)
                } catch {
                    guard error.code == .exists else { throw error }
                }
            }
            let found = try await prove(key)
            guard found.manifest.description == description,
                found.manifest.entries.map(\.instance.record) == request.records.map(Optional.some)
            else {
                throw ColdStoreError(.exists, "another pack lies in the store under the name of this one")
            }
            return BuiltPack(outcome: .alreadyStored, byteCount: found.byteCount, digest: found.digest)
        } catch {
            throw ReplicationError(cold: error)
        }
    }

    private func write(
        _ description: PackDescription,
        _ key: ObjectKey,
        _ request: BuildPackRequest
    ) async throws(ColdStoreError) -> PackWriter.Summary {
        var upload = try await store.begin(key, maximumByteCount: 1 << 30)
        var writer = try Self.packed { () throws(PackError) in try PackWriter(description) }
        for id in request.records {
            let (instance, payload) = try await record(id, request)
            var piece = try Self.packed { () throws(PackError) in try writer.begin(instance, isComparing: false) }
            try await upload.write(piece)
            piece = try Self.packed { () throws(PackError) in try writer.append(payload) }
            try await upload.write(piece)
            piece = try Self.packed { () throws(PackError) in try writer.end() }
            try await upload.write(piece)
        }
        let (bytes, summary) = try Self.packed { () throws(PackError) in try writer.finish() }
        try await upload.write(bytes)
        try await upload.finish()
        return summary
    }

    /// What the pack says of a record, and its bytes: from this node, or from the first other one that has it whole.
    private func record(
        _ id: RecordID,
        _ request: BuildPackRequest
    ) async throws(ColdStoreError) -> (PackInstance, ByteBuffer) {
        var failure = ReplicationError(.notFound, "no node that was named has the record")
        for source in [node] + request.sources.compactMap({ others($0.nodeID) }) {
            do throws(ReplicationError) {
                let head: HeadResult? = try await ask(source) { $0.head(id, $1) }
                guard let head else { continue }
                let count = Int(head.payloadByteCount)
                let payload: ByteBuffer = try await ask(source) { $0.read(id, 0..<count, $1) }
                let metadata: InstanceMetadata
                do throws(SegmentFormatError) {
                    metadata = try InstanceMetadata(decoding: head.metadata)
                } catch {
                    throw ReplicationError(.corrupt, "metadata that can't be read")
                }
                let instance = PackInstance(
                    seriesInstanceUID: try Self.uid(metadata.seriesInstanceUID),
                    sopInstanceUID: try Self.uid(metadata.sopInstanceUID),
                    byteCount: head.payloadByteCount,
                    digest: head.payloadDigest,
                    record: id,
                    frames: metadata.frames,
                    metadata: head.metadata,
                    amendments: try await amendments(of: id)
                )
                return (instance, payload)
            } catch {
                failure = error
            }
        }
        throw ColdStoreError(.failed, "record \(id) can't be read from any copy: \(failure)")
    }

    private func amendments(of id: RecordID) async throws(ReplicationError) -> [PackAmendment] {
        try await ask(node) { node, answer in
            node.step(20...300) { engine -> Result<[PackAmendment], ReplicationError> in
                Result { () throws(SegmentStoreError) in
                    let (stored, isComplete) = try engine.view.readableAmendments(of: id)
                    guard isComplete else { throw SegmentStoreError(.readFailed, "not all can be read", record: id) }
                    return stored.sorted { $0.amendment.order < $1.amendment.order }
                        .map { PackAmendment($0.amendment, payload: $0.payload) }
                }.mapError(ReplicationError.init(store:))
            } _: {
                answer($0)
            }
        }
    }

    /// Asks this node's store, or another node.
    private func ask<Value: Sendable>(
        _ other: StorageProcess,
        _ work: @escaping (StorageProcess, @escaping StorageProcess.Answer<Value>) -> Void
    ) async throws(ReplicationError) -> Value {
        guard isAlive else { throw ReplicationError(.shuttingDown, "the process is dead") }
        guard other.isRunning else { throw ReplicationError(.connectionLost, "\(other.name) is away") }
        return try await world.calls.call(in: world, timeout: Limits.requestTimeout) { [world, node] reply in
            other.after(other === node ? 0 : world.time(100...1_500)) { work(other, reply) }
        }
    }

    // MARK: Reading back

    private func verify(_ request: VerifyPackRequest) async throws(ReplicationError) {
        let id = PackID(high: request.reference.pack.high, low: request.reference.pack.low)
        guard let key = ObjectKey(PackDescription.key(of: id, study: request.reference.studyInstanceUID)) else {
            throw ReplicationError(.invalidRequest, "the study's UID can't be a name in a store")
        }
        do throws(ColdStoreError) {
            let found = try await prove(key)
            guard found.byteCount == request.byteCount, found.digest == request.digest else {
                throw ColdStoreError(.damaged, "the pack is sound, and not the one that was built")
            }
        } catch {
            throw ReplicationError(cold: error)
        }
    }

    private struct Proof {
        let manifest: PackManifest
        let byteCount: UInt64
        let digest: SHA256Digest
    }

    private func prove(_ key: ObjectKey) async throws(ColdStoreError) -> Proof {
        let began = world.now
        let reader = try await ObjectReader(key, in: store)
        let manifest = try await reader.packManifest()
        let result = try await reader.verifyPack(manifest)
        if let first = result.findings.first {
            throw ColdStoreError(.damaged, "\(result.findings.count) findings, the first: \(first.message)")
        }
        proven(key.string, node.store.id, began)
        return Proof(manifest: manifest, byteCount: result.byteCount, digest: result.digest)
    }

    // MARK: Errors

    private static func uid(_ text: String) throws(ReplicationError) -> UID {
        do throws(DICOMError) {
            return try UID(lenient: text)
        } catch {
            throw ReplicationError(.invalidRequest, "a UID that is none")
        }
    }

    private static func packed<Value>(_ body: () throws(PackError) -> Value) throws(ColdStoreError) -> Value {
        do throws(PackError) {
            return try body()
        } catch {
            throw ColdStoreError(.invalid, error.message)
        }
    }
}

extension ReplicationError {
    /// The failure of a store of packs in the protocol's words, as StorageNode puts it.
    fileprivate init(cold error: ColdStoreError) {
        let code: Code
        switch error.code {
        case .notFound: code = .notFound
        case .exists: code = .conflict
        case .full: code = .diskFull
        case .denied: code = .forbidden
        case .damaged: code = .corrupt
        case .invalid: code = .invalidRequest
        // Nothing is known of what it holds.
        case .unavailable: code = .unknown
        default: code = .diskFailed
        }
        self.init(code, error.message)
    }
}
