// SPDX-License-Identifier: Apache-2.0

import ColdStore
import NIOCore
import ReplicationProtocol

/// The cold store as one process asks it, in one life: what is asked by a process that has died has no effect.
// Safety: made, used and let go of on its world's one thread, where `WorldExecutor` runs the tasks that have it.
final class SimulatedObjectStore: ObjectStore, @unchecked Sendable {
    private let model: ColdStoreModel
    private let process: Process
    private let life: Int
    private var world: World { process.world }

    init(_ model: ColdStoreModel, of process: Process) {
        self.model = model
        self.process = process
        self.life = process.generation
    }

    func begin(_ key: ObjectKey, maximumByteCount: UInt64) async throws(ColdStoreError) -> SimulatedUpload {
        try await ask(200...2_000) { [model] () -> Result<Void, ColdStoreError> in
            // Not always is it known so early.
            if model.objects[key.string] != nil, model.world.chance(50) { return .failure(Self.exists) }
            return .success(())
        }
        return SimulatedUpload(self, key)
    }

    func status(of key: ObjectKey) async throws(ColdStoreError) -> ObjectStatus? {
        try await ask(100...1_500) { [model, process] in
            guard let object = model.objects[key.string] else { return .success(nil) }
            // Another mount's directory may be remembered from before.
            let isYoung = model.world.now - object.finishedAt < Limits.staleListing && object.writer != process.name
            if isYoung, model.fails(.packUnseen, percent: 25, "\(key) by \(process.name)") { return .success(nil) }
            return .success(ObjectStatus(key: key, byteCount: UInt64(object.bytes.readableBytes)))
        }
    }

    func read(_ key: ObjectKey, _ range: Range<UInt64>) async throws(ColdStoreError) -> ByteBuffer {
        try await ask(200...4_000) { [model] in
            if model.fails(.packReadFails, percent: 2, "\(key)") {
                return .failure(ColdStoreError(.failed, "a read failed"))
            }
            guard let object = model.objects[key.string] else {
                return .failure(ColdStoreError(.notFound, "there is no such object"))
            }
            guard var bytes = object.bytes.slice(range) else {
                return .failure(ColdStoreError(.failed, "the object ends before the range does"))
            }
            if model.fails(.packReadFails, percent: 5, "\(key), changed on its way") { model.flip(&bytes) }
            return .success(bytes)
        }
    }

    func list(after key: ObjectKey?, limit: Int) async throws(ColdStoreError) -> [ObjectStatus] {
        try await ask(200...2_000) { [model] in
            let keys = model.objects.keys.compactMap { ObjectKey($0) }.filter { other in key.map { other > $0 } ?? true
            }
            return .success(
                keys.sorted().prefix(limit).map { key in
                    let byteCount = model.objects[key.string]?.bytes.readableBytes ?? 0
                    return ObjectStatus(key: key, byteCount: UInt64(byteCount))
                }
            )
        }
    }

    static let exists = ColdStoreError(.exists, "there is an object of that key")

    // MARK: Uploads

    func write(_ key: ObjectKey) async throws(ColdStoreError) {
        try await ask(100...3_000) { [model] () -> Result<Void, ColdStoreError> in
            if model.fails(.packPutFails, percent: 2, "\(key), half-way") {
                return .failure(ColdStoreError(model.world.chance(30) ? .full : .failed, "a write failed"))
            }
            return .success(())
        }
    }

    func finish(_ key: ObjectKey, _ bytes: ByteBuffer) async throws(ColdStoreError) {
        try await ask(300...5_000) { [model, process] () -> Result<Void, ColdStoreError> in
            if model.fails(.packPutFails, percent: 3, "\(key), at its end") {
                return .failure(ColdStoreError(.failed, "the object could not be put in place"))
            }
            guard model.finish(key.string, bytes, by: process.name) else { return .failure(Self.exists) }
            model.world.note("\(process.name) has put \(key) in place")
            if model.fails(.packAnswerLost, percent: 8, "\(key)") {
                return .failure(ColdStoreError(.failed, "the answer was lost"))
            }
            return .success(())
        }
    }

    /// Whether whoever asks is the process that began.
    private var isAlive: Bool { process.isRunning && process.generation == life }

    private func ask<Value: Sendable>(
        _ time: ClosedRange<Int64>,
        _ body: @escaping () -> Result<Value, ColdStoreError>
    ) async throws(ColdStoreError) -> Value {
        guard isAlive else { throw ColdStoreError(.failed, "the process is dead") }
        let result: Result<Value, ColdStoreError>
        do throws(ReplicationError) {
            result = try await world.calls.call(in: world, timeout: Limits.storeTimeout) {
                [world, process, model] reply in
                process.after(world.time(time)) {
                    let answer =
                        model.isAway
                        ? .failure(ColdStoreError(.unavailable, "the store is not there")) : body()
                    process.after(world.time(5...200)) { reply(.success(answer)) }
                }
            }
        } catch {
            throw ColdStoreError(.failed, "no answer of the store")
        }
        return try result.get()
    }
}

/// An object that one process is writing.
struct SimulatedUpload: ObjectUpload {
    private let store: SimulatedObjectStore
    private let key: ObjectKey
    private var bytes = ByteBuffer()

    init(_ store: SimulatedObjectStore, _ key: ObjectKey) {
        self.store = store
        self.key = key
    }

    mutating func write(_ bytes: ByteBuffer) async throws(ColdStoreError) {
        try await store.write(key)
        self.bytes.writeImmutableBuffer(bytes)
    }

    mutating func finish() async throws(ColdStoreError) { try await store.finish(key, bytes) }

    /// What was not finished nobody sees.
    mutating func abort() async {}
}
