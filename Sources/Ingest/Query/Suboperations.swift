// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import DICOMNetworking
package import DIMSE
package import Logging
import NIOCore
import ReplicationTransport

/// The sub-operations of one C-GET or C-MOVE: sends instances one after the other, a few made ready ahead, counts what
/// becomes of them, and tells the requestor.
///
/// Copies count together, so that several associations can be served at once.
package struct Suboperations: Sendable {
    /// Why the sub-operations ended early.
    package enum Interruption: Error {
        /// The requestor has cancelled, or is gone.
        case cancelled
        /// The association that instances go out over has failed; `cause` says why.
        case associationFailed(DICOMNetworkError)
    }

    private let tally: SuboperationTally
    private let retrieve: RetrieveService
    private let exchange: RequestExchange
    private let priority: DIMSEPriority
    private let moveOriginator: (aeTitle: AETitle, messageID: UInt16)?
    private let now: @Sendable () -> ContinuousClock.Instant
    private let logger: Logger

    package init(
        count: Int,
        retrieve: RetrieveService,
        exchange: RequestExchange,
        priority: DIMSEPriority,
        moveOriginator: (aeTitle: AETitle, messageID: UInt16)? = nil,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now },
        logger: Logger
    ) {
        self.tally = SuboperationTally(count: count)
        self.retrieve = retrieve
        self.exchange = exchange
        self.priority = priority
        self.moveOriginator = moveOriginator
        self.now = now
        self.logger = logger
    }

    package var counts: SuboperationCounts { tally.counts }
    /// SOP Instance UIDs of those that failed, in the order in which they did.
    package var failed: [String] { tally.failed }
    /// Whether nothing more is to be sent.
    var isCancelled: Bool { exchange.isCancelled }

    /// Sends `instances` to `target`, for the one task that owns this value; as ``deliver(_:to:)``.
    package mutating func send(
        _ instances: [StoredInstance],
        to target: some StoreTarget
    ) async -> (doneCount: Int, interruption: Interruption?) {
        await deliver(instances, to: target)
    }

    /// Sends `instances` to `target`; one that fails does not keep the others.
    ///
    /// Returns how many were dealt with: fewer than there are when it was interrupted. The one that was under way when
    /// the association failed counts as failed.
    func deliver(
        _ instances: [StoredInstance],
        to target: some StoreTarget
    ) async -> (doneCount: Int, interruption: Interruption?) {
        let contexts = target.storeContexts
        let retrieve = self.retrieve
        let deliveries = instances.map { instance in
            SuboperationDelivery(
                instance: instance,
                syntax: SuboperationSyntax(
                    instance,
                    contexts: contexts,
                    canDecode: retrieve.canConvert(instance, to: TransferSyntax.explicitVRLittleEndian.uid.string)
                )
            )
        }
        let isStored = deliveries.allSatisfy { $0.isReadWhole(retrieve) }
        var doneCount = 0
        do {
            // On the association's event loop: small instances are sent and answered there, without a change of thread.
            try await withTaskExecutorPreference(EventLoopExecutor(target.eventLoop)) {
                try await OrderedPrefetch.forEach(
                    deliveries,
                    window: isStored ? retrieve.configuration.storedWindow : retrieve.configuration.window,
                    aheadLimit: isStored ? retrieve.configuration.storedAheadByteCount : .max,
                    budget: retrieve.memory,
                    cost: { $0.cost(retrieve) },
                    begin: { $0.startPreparing(retrieve, $1) },
                    consume: { (prepared: Result<(SuboperationDelivery, PreparedInstance), RetrieveFailure>, _) in
                        if exchange.isCancelled { throw Interruption.cancelled }
                        let instance = instances[doneCount]
                        doneCount += 1
                        try await deliver(instance, prepared, to: target)
                    }
                )
            }
            return (doneCount, nil)
        } catch let interruption as Interruption {
            return (doneCount, interruption)
        } catch {
            // The task was cancelled: the server stops.
            return (doneCount, .cancelled)
        }
    }

    /// Counts instances as failed that are not even tried.
    package func fail(_ instances: some Sequence<StoredInstance>) {
        for instance in instances { tally.add(.processingFailure, of: instance.sopInstanceUID) }
    }

    private func deliver(
        _ instance: StoredInstance,
        _ prepared: Result<(SuboperationDelivery, PreparedInstance), RetrieveFailure>,
        to target: some StoreTarget
    ) async throws {
        var interruption: Interruption?
        do {
            let (delivery, prepared) = try prepared.get()
            let status = try await send(delivery, prepared, to: target)
            tally.add(status, of: instance.sopInstanceUID)
        } catch {
            fail([instance])
            if let failure = error as? RetrieveFailure, failure.kind == .offline {
                tally.noteOffline(retryAfterSeconds: failure.retryAfterSeconds ?? 0)
            }
            logger.warning("an instance was not sent", metadata: ["reason": "\(error)"])
            if let error = error as? DICOMNetworkError { interruption = .associationFailed(error) }
        }
        try await report()
        if let interruption { throw interruption }
    }

    /// Tells the requestor how far things are, if that is due.
    private func report() async throws(Interruption) {
        if exchange.isCancelled { throw .cancelled }
        guard let counts = tally.takeReport(now: now()) else { return }
        defer { tally.reported() }
        do throws(DICOMNetworkError) {
            try await exchange.send([QueryRetrieveResponse(.pending, counts: counts)])
        } catch {
            throw .cancelled
        }
    }

    private func send(
        _ delivery: SuboperationDelivery,
        _ prepared: PreparedInstance,
        to target: some StoreTarget
    ) async throws -> DIMSEStatus {
        guard let syntax = delivery.syntax else { throw SuboperationDelivery.notAccepted }
        let store = OutgoingStore(
            sopClassUID: delivery.instance.sopClassUID,
            sopInstanceUID: delivery.instance.sopInstanceUID,
            contextID: syntax.contextID,
            priority: priority,
            moveOriginator: moveOriginator
        )
        if prepared.isWhole, !syntax.isRewritten {
            return try await target.store(store, dataSet: try await Self.gathered(prepared, syntax)).status
        }
        // Reading pieces, checking and writing them anew is work that an event loop has no time for.
        return try await withTaskExecutorPreference(globalConcurrentExecutor) {
            // What has to be gathered fails here if it does: before a byte of it is on its way.
            if syntax.isRewritten {
                return try await target.store(store, dataSet: try await Self.gathered(prepared, syntax)).status
            }
            var stream = OutgoingDataSet(syntax: syntax.nativeSyntax)
            return try await target.store(store) { write in
                try await prepared.send { buffers in
                    let pieces = try stream.add(buffers)
                    if !pieces.isEmpty { try await write(pieces) }
                }
            }.status
        }
    }

    private static func gathered(
        _ prepared: PreparedInstance,
        _ syntax: SuboperationSyntax
    ) async throws -> [ByteBuffer] {
        var stream = OutgoingDataSet(syntax: syntax.nativeSyntax)
        var ready: [ByteBuffer] = []
        try await prepared.send { ready += try stream.add($0) }
        return ready + (try stream.finish())
    }

    /// Error Comment (0000,0902), at most 64 characters.
    static func comment(_ offline: (count: Int, retryAfterSeconds: Int)) -> String {
        "\(offline.count) on offline media, recalled: again in \(PackLibrary.words(offline.retryAfterSeconds))"
    }

    /// The last response of the operation.
    package func finalResponse(isCancelled: Bool, syntax: TransferSyntax) -> QueryRetrieveResponse {
        let (counts, failed) = (tally.counts, tally.failed)
        let status = isCancelled ? DIMSEStatus.cancel : counts.finalStatus
        var response = QueryRetrieveResponse(status, counts: counts)
        if let offline = tally.offline { response.errorComment = Self.comment(offline) }
        if !failed.isEmpty { response.identifier = FailedInstances.identifier(failed, syntax: syntax) }
        return response
    }
}

/// The identifier at the end of a retrieval of which something failed (PS3.4 section C.4.2.1.4.2).
enum FailedInstances {
    /// The most bytes of the list: explicit VR has 16 bits for a UI's length.
    static let maximumByteCount = 65_534

    /// Failed SOP Instance UID List (0008,0058), as many as it holds.
    static func identifier(_ uids: [String], syntax: TransferSyntax) -> ByteBuffer? {
        var text = ""
        for uid in uids {
            guard text.utf8.count + 1 + uid.utf8.count <= maximumByteCount else { break }
            text += text.isEmpty ? uid : "\\" + uid
        }
        var dataSet = DataSet()
        dataSet.set(Tag(0x0008, 0x0058), .ui, text)
        // Losing the error is right: a list of UIDs within that limit is always written.
        return try? DataSetWriter.write(dataSet, transferSyntax: syntax)
    }
}
