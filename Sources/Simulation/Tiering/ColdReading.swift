// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import ColdStore
import NIOCore
import PackFormat
import Placement

/// One record that an ingest node reads out of a pack, by the real index of packs. Follows `ColdRecords` and `PackLibrary`, without what
/// the latter keeps.
// Safety: made, used and let go of on its world's one thread, where `WorldExecutor` runs the task that has it.
final class ColdReading: @unchecked Sendable {
    private let ingest: IngestProcess
    private let moves: MoveModel
    private let store: SimulatedObjectStore
    private let life: Int
    private let record: RecordID
    private var completion: (ByteBuffer?) -> Void
    private var world: World { ingest.world }

    init?(_ ingest: IngestProcess, _ record: RecordID, _ completion: @escaping (ByteBuffer?) -> Void) {
        guard let moves = ingest.moves, let store = moves.store else { return nil }
        self.ingest = ingest
        self.moves = moves
        self.store = SimulatedObjectStore(store, of: ingest)
        self.life = ingest.generation
        self.record = record
        self.completion = completion
    }

    func start() {
        Task(executorPreference: world.executor) { [self] in
            let bytes = await read()
            guard ingest.isRunning, ingest.generation == life else { return }
            if bytes != nil { moves.oracle?.readFromPack() }
            completion(bytes)
            completion = { _ in }
        }
    }

    private func read() async -> ByteBuffer? {
        guard let packs = await packs() else { return nil }
        for pack in packs {
            do throws(ColdStoreError) {
                return try await bytes(from: pack)
            } catch {
                world.note("\(ingest.name) can't read \(record) from a pack: \(error)")
                if error.code == .damaged || error.code == .notFound { await doubt(pack) }
            }
        }
        return nil
    }

    private func packs() async -> [ColdPack]? {
        do throws(CatalogError) {
            return try await moves.catalog.ask { [moves, record] in moves.packs(holding: record) }
        } catch {
            return nil
        }
    }

    private func doubt(_ pack: ColdPack) async {
        do throws(CatalogError) {
            try await moves.catalog.ask { [moves] in moves.doubt(MoveModel.id(of: pack)) }
        } catch {
            // Whoever reads from it next says it again.
        }
    }

    private func bytes(from pack: ColdPack) async throws(ColdStoreError) -> ByteBuffer {
        let id = MoveModel.id(of: pack)
        guard let key = ObjectKey(PackDescription.key(of: id, study: pack.studyInstanceUID)) else {
            throw ColdStoreError(.invalid, "the study's UID can't be a name in a store")
        }
        let byteCount = UInt64(max(0, pack.byteCount))
        let reader = ObjectReader(key, byteCount: byteCount, in: store)
        let index: PackIndex
        do throws(ColdStoreError) {
            index = try await reader.packIndex(tailByteCount: 4096)
        } catch {
            guard let status = try await store.status(of: key), status.byteCount != byteCount else { throw error }
            throw ColdStoreError(.damaged, "the pack has another length than it was written with")
        }
        guard index.description.id == id else { throw ColdStoreError(.damaged, "another pack lies under the name") }
        let found: PackEntry?
        do throws(PackError) {
            found = try index.entry(of: record)
        } catch {
            throw ColdStoreError(.damaged, error.message)
        }
        guard let entry = found else { throw ColdStoreError(.damaged, "the record is not in the pack") }
        let bytes = try await reader.read(entry.range)
        guard SHA256Hasher.digest(of: bytes) == entry.digest || world.has(.readPackUnchecked) else {
            throw ColdStoreError(.damaged, "the record's bytes in the pack have not their digest")
        }
        return bytes
    }
}

extension IngestProcess {
    /// A record's payload: from the nodes and then from packs, or the other way round when no node is counted to have it.
    func readAnywhere(_ id: RecordID, copies: [NodeID], _ completion: @escaping (ByteBuffer?) -> Void) {
        let cold = { [self] (next: @escaping (ByteBuffer?) -> Void) in
            guard let reading = ColdReading(self, id, next) else { return next(nil) }
            reading.start()
        }
        guard copies.isEmpty else {
            return read(id, copies: copies) { bytes in if let bytes { completion(bytes) } else { cold(completion) } }
        }
        cold { [self] bytes in
            // A copy that was not dropped yet is as good.
            if let bytes { completion(bytes) } else { read(id, copies: copies, completion) }
        }
    }
}
