// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import Logging
import NIOCore
import NIOPosix
import Placement
import Telemetry

/// Data sets too large for memory: the payload is put together in a spool file, frame by frame, while the data set
/// arrives, and sent from there.
extension StorePipeline {
    /// Stores a data set that lies in the spool; `instance` was read from its first part.
    func store(
        _ instance: ReceivedInstance,
        spooled source: SpooledSource,
        from sender: Sender
    ) async throws(StoreFailure) -> Outcome {
        let receivedAt = Timestamp.now()
        let warning = try await validate(instance, spooled: source)
        let work = SpooledPayload(
            source: source,
            builder: PayloadBuilder(instance, sender: sender, receivedAt: receivedAt),
            codecs: codecs,
            threads: spoolThreads,
            directory: spoolDirectory
        )
        let form: LargeStoredForm
        switch CompressionPlan.decide(for: instance, codecClass: codecClass) {
        case .compress(let plan):
            if let compressed = try await compress(work, plan: plan) {
                form = compressed
            } else {
                form = try await work.asReceived(note: Self.notCompressedNote)
            }
        case .keep(let reason):
            form = try await work.asReceived(note: "as received: \(reason)")
        }
        let nodes: [NodeID]
        do {
            nodes = try await cluster.write(
                form.stored.putRequest(mapEpoch: cluster.mapEpoch),
                chunks: FileChunks(file: form.file, byteCount: form.stored.payloadByteCount, threads: spoolThreads)
            )
        } catch {
            throw await failure(error, of: form.instance)
        }
        return try await commit(
            InstanceEntry(form.instance, form: form.stored, nodes: nodes)
        ).warning(of: warning)
    }

    /// Nil when the instance has to be kept as it came.
    private func compress(
        _ work: SpooledPayload,
        plan: CompressionPlan
    ) async throws(StoreFailure) -> LargeStoredForm? {
        guard SpooledPayload.suits(plan) else { return nil }
        let series = work.builder.instance.seriesInstanceUID
        let chosen = try await seriesCodecs.choose(plan, series: series) { index async throws(StoreFailure) in
            try await work.source.read(plan.frameRange(index))
        }
        switch try await work.compressed(plan: chosen) {
        case .stored(let form): return form
        case .unsuitable: return nil
        case .notEncoded(let error):
            logUnencoded(error)
            return nil
        case .notProven:
            logger.error("a compressed frame does not decode to what arrived; the instance is kept as received")
            return nil
        }
    }
}

/// A large instance in the form in which it is stored; its payload lies in `file`.
struct LargeStoredForm: Sendable {
    /// The instance, now that all of it has arrived.
    let instance: ReceivedInstance
    let stored: StoredForm
    let file: PayloadFile
}

/// The payload of a large instance, read piece by piece as the nodes take it.
struct FileChunks: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let file: PayloadFile
    let byteCount: Int
    let threads: NIOThreadPool

    func makeAsyncIterator() -> Iterator {
        Iterator(chunks: self)
    }

    struct Iterator: AsyncIteratorProtocol {
        let chunks: FileChunks
        var offset = 0

        mutating func next() async throws -> ByteBuffer? {
            guard offset < chunks.byteCount else { return nil }
            let range = offset..<Swift.min(offset + PayloadFile.pieceByteCount, chunks.byteCount)
            offset = range.upperBound
            let file = chunks.file
            return try await chunks.threads.run { () throws(StoreFailure) in try file.read(range) }
        }
    }
}
