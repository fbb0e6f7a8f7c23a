// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import ClusterClient
import DICOM
import Logging
import NIOCore
import NIOPosix
import PixelCodecs
import Placement
import ReplicationProtocol
import SegmentFormat
import Telemetry

/// Takes one received data set to success exactly as promises 1 and 2 say.
///
/// Parse, check, compress, write to the group's nodes while the proof runs, commit to the catalog, answer. Shared by
/// all associations and HTTP requests; holds no state of an instance beyond the call.
package final class StorePipeline: Sendable {
    /// Who sent the instance, for the record's metadata and the catalog.
    package struct Sender: Sendable {
        package var callingAETitle: String
        package var calledAETitle: String

        package init(callingAETitle: String, calledAETitle: String) {
            self.callingAETitle = callingAETitle
            self.calledAETitle = calledAETitle
        }
    }

    /// What became of an instance.
    enum Outcome: Sendable {
        case stored
        /// Stored though it breaks a rule of the standard, of which the sender is to be warned.
        case storedWithWarning(String)
        /// The same instance was there already; nothing new is kept.
        case duplicate
    }

    let catalog: Catalog
    let registrar: Registrar
    let cluster: ClusterClient
    let codecs: CodecPool
    let codecClass: CodecClass
    let seriesCodecs: SeriesCodecs
    /// Threads and directory for data sets too large for memory.
    let spoolThreads: NIOThreadPool
    let spoolDirectory: String
    let validation: ValidationPolicy
    let quarantine: Quarantine
    let arrivals: SeriesArrivals
    /// Takes samples of what was accepted; nil when nothing does.
    let watch: WatchIntake?
    let logger: Logger

    init(
        catalog: Catalog,
        registrar: Registrar,
        cluster: ClusterClient,
        codecs: CodecPool,
        codecClass: CodecClass,
        spoolThreads: NIOThreadPool,
        spoolDirectory: String,
        validation: ValidationPolicy,
        quarantine: Quarantine,
        arrivals: SeriesArrivals,
        watch: WatchIntake?,
        logger: Logger
    ) {
        self.catalog = catalog
        self.registrar = registrar
        self.cluster = cluster
        self.codecs = codecs
        self.codecClass = codecClass
        self.seriesCodecs = SeriesCodecs(
            store: PromptSeriesCodecs(catalog: catalog, health: registrar.health),
            codecs: codecs,
            codecClass: codecClass,
            logger: logger
        )
        self.spoolThreads = spoolThreads
        self.spoolDirectory = spoolDirectory
        self.validation = validation
        self.quarantine = quarantine
        self.arrivals = arrivals
        self.watch = watch
        self.logger = logger
    }

    /// Stores a data set that lies in memory.
    ///
    /// Returns only when `ack` copies are durable and the catalog has committed the instance, or while it is away the
    /// journal has it on disk.
    func store(_ instance: ReceivedInstance, from sender: Sender) async throws(StoreFailure) -> Outcome {
        let receivedAt = Timestamp.now()
        let warning = try await validate(instance)
        return try await store(instance, from: sender, at: receivedAt).warning(of: warning)
    }

    private func store(
        _ instance: ReceivedInstance,
        from sender: Sender,
        at receivedAt: Timestamp
    ) async throws(StoreFailure) -> Outcome {
        switch CompressionPlan.decide(for: instance, codecClass: codecClass) {
        case .compress(let plan):
            if let entry = try await storeCompressed(instance, plan: plan, from: sender, at: receivedAt) {
                return try await commit(entry)
            }
            return try await commit(
                try await storeAsReceived(instance, note: Self.notCompressedNote, from: sender, at: receivedAt)
            )
        case .keep(let reason):
            let note = "as received: \(reason)"
            return try await commit(try await storeAsReceived(instance, note: note, from: sender, at: receivedAt))
        }
    }

    private func storeAsReceived(
        _ instance: ReceivedInstance,
        note: String,
        from sender: Sender,
        at receivedAt: Timestamp
    ) async throws(StoreFailure) -> InstanceEntry {
        let form = try PayloadBuilder(instance, sender: sender, receivedAt: receivedAt).asReceived(note: note)
        let nodes = try await write(form, of: instance)
        return InstanceEntry(instance, form: form, nodes: nodes)
    }

    /// Compresses, writes and proves; nil when the instance has to be stored as received after all.
    private func storeCompressed(
        _ instance: ReceivedInstance,
        plan: CompressionPlan,
        from sender: Sender,
        at receivedAt: Timestamp
    ) async throws(StoreFailure) -> InstanceEntry? {
        guard let frames = plan.frames(of: instance) else { return nil }
        let plan = try await seriesCodecs.choose(plan, series: instance.seriesInstanceUID) { index in frames[index] }
        var encodings = FrameEncodings(frames, plan: plan, codecs: codecs)
        // Hashing takes a seventh of the encoding's time and is done here while a codec thread encodes.
        let builder = PayloadBuilder(instance, sender: sender, receivedAt: receivedAt)
        let digests = try builder.digests(plan: plan)
        let encoded: [ByteBuffer]
        do throws(CodecError) {
            encoded = try await encodings.finish()
        } catch {
            logUnencoded(error)
            return nil
        }
        guard encoded.reduce(0, { $0 + $1.readableBytes }) < plan.valueByteCount else { return nil }
        let form = try builder.compressed(encoded, plan: plan, digests: digests)

        // Success waits for both; the proof of the frames runs while the record is on its way to the nodes.
        let nodes = try await write(form, of: instance)
        let entry = InstanceEntry(instance, form: form, nodes: nodes)
        guard await areProven(encodings) else {
            logger.error("a compressed frame does not decode to what arrived; the instance is kept as received")
            return nil
        }
        return entry
    }

    /// What the record says of an instance that a plan was made for and that was kept all the same; the log says why.
    static let notCompressedNote = "as received: compression gained nothing, or a frame was not encoded or proven"

    /// Frames that no stream can carry without misleading readers are expected, anything else is not.
    func logUnencoded(_ error: any Error) {
        let isExpected = (error as? CodecError)?.code == .unsupported
        logger.log(
            level: isExpected ? .info : .warning,
            "a frame was not encoded; the instance is kept as received",
            error: error
        )
    }

    private func areProven(_ encodings: FrameEncodings) async -> Bool {
        do throws(CodecError) {
            return try await encodings.areProven()
        } catch {
            logger.error("a frame could not be proven", error: error)
            return false
        }
    }

    /// Writes the record to its group's nodes; returns those that hold it durably.
    private func write(_ form: StoredForm, of instance: ReceivedInstance) async throws(StoreFailure) -> [NodeID] {
        do {
            return try await cluster.write(form.putRequest(mapEpoch: cluster.mapEpoch), pieces: form.pieces)
        } catch {
            throw await failure(error, of: instance)
        }
    }

    /// Why nodes did not take a record: they refuse what is deleted, and say so when asked.
    func failure(_ error: ClusterError, of instance: ReceivedInstance) async -> StoreFailure {
        if error.code == .refused,
            await registrar.directory.isDeleted(
                study: instance.studyInstanceUID,
                instance: instance.sopInstanceUID
            )
        {
            return .deleted
        }
        return StoreFailure(.unavailable, error.description)
    }

    func commit(_ entry: InstanceEntry) async throws(StoreFailure) -> Outcome {
        let outcome = try await registrar.enter(entry)
        switch outcome {
        case .entered, .noted:
            watch?.accepted(entry, isNoted: outcome == .noted)
            arrivals.stored(study: entry.study.studyInstanceUID, series: entry.series.seriesInstanceUID)
            return .stored
        case .duplicate: return .duplicate
        }
    }
}

extension StorePipeline.Outcome {
    /// What a stored instance is answered with when there is something to warn of.
    func warning(of text: String?) -> Self {
        if case .stored = self, let text { .storedWithWarning(text) } else { self }
    }
}

extension ByteBuffer {
    /// The bytes of `range`, counted from the first readable byte; shares storage.
    ///
    /// Nil when they are not all there.
    func slice(at range: Range<Int>) -> ByteBuffer? {
        getSlice(at: readerIndex + range.lowerBound, length: range.count)
    }
}
