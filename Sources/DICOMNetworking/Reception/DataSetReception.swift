// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore
import NIOPosix

/// Puts the fragments of one data set where they are kept: in memory, or beyond a limit in a spool file.
///
/// Lives on an event loop. Each byte is copied once, out of the receive buffer. Memory grows with what
/// arrived; the first reservation follows the data sets that this association sent before. A data set that goes to a
/// file is handed over while it arrives, one in memory when it is whole.
final class DataSetReception {
    struct Limits {
        var inMemoryByteCount: Int
        var byteCount: Int
        var spoolByteCountInFlight: Int
        var spoolDirectory: String
    }

    let request: StoreRequest
    let command: CommandSet
    private let limits: Limits
    private let pool: NIOThreadPool
    private let eventLoop: any EventLoop
    private let onProgress: () -> Void

    private var memory: ByteBuffer
    private var spool: SpoolWriter?
    private var refusal: StoreResponse?
    private(set) var byteCount = 0
    /// The data set once it goes to a file.
    private(set) var spooled: SpooledDataSet?

    private static let minimumReservation = 64 << 10
    private static let maximumReservation = 4 << 20

    /// `expectedByteCount` is that of the association's last data set; `onProgress` is called when a full spool has
    /// room again.
    init(
        request: StoreRequest,
        command: CommandSet,
        limits: Limits,
        expectedByteCount: Int,
        pool: NIOThreadPool,
        context: ChannelHandlerContext,
        onProgress: @escaping () -> Void
    ) {
        self.request = request
        self.command = command
        self.limits = limits
        self.pool = pool
        self.eventLoop = context.eventLoop
        self.onProgress = onProgress
        let reservation = min(max(expectedByteCount, Self.minimumReservation), Self.maximumReservation)
        self.memory = context.channel.allocator.buffer(capacity: min(reservation, limits.inMemoryByteCount))
    }

    /// Whether reading must stop until `onProgress`.
    var isFull: Bool {
        self.spool?.isFull ?? false
    }

    /// The answer to give in place of the service's: the data set could not be kept.
    var failure: StoreResponse? {
        if let refusal { return refusal }
        guard let cause = self.spool?.failure else { return nil }
        return cause.code == .spool ? StoreResponse(.outOfResources, errorComment: "cannot spool the data set") : nil
    }

    /// Why the spool file could not be written, for the log.
    var spoolFailure: DICOMNetworkError? { self.spool?.failure }

    func append(_ bytes: ByteBuffer) {
        self.byteCount += bytes.readableBytes
        guard self.refusal == nil else { return }
        if let spool {
            guard self.byteCount <= self.limits.byteCount else { return self.refuse() }
            spool.append(bytes)
        } else if self.byteCount <= self.limits.inMemoryByteCount {
            self.memory.writeImmutableBuffer(bytes)
        } else {
            guard self.byteCount <= self.limits.byteCount else { return self.refuse() }
            let dataSet = SpooledDataSet(pool: self.pool)
            let spool = SpoolWriter(
                dataSet: dataSet,
                directory: self.limits.spoolDirectory,
                limit: self.limits.spoolByteCountInFlight,
                pool: self.pool,
                eventLoop: self.eventLoop
            )
            spool.onProgress = self.onProgress
            spool.start(with: self.memory)
            self.memory = ByteBuffer()
            spool.append(bytes)
            self.spool = spool
            self.spooled = dataSet
        }
    }

    /// The data set is whole: hands over one in memory, or the answer to give instead.
    ///
    /// One that goes to a file was handed over before.
    func finishInMemory() -> Result<ReceivedDataSet, Refusal> {
        if let refusal { return .failure(Refusal(response: refusal)) }
        let bytes = self.memory
        self.memory = ByteBuffer()
        return .success(.memory(bytes))
    }

    /// The data set is whole: calls back once all of it is in the file, or nothing more can be written.
    func finishSpooled(_ completion: @escaping () -> Void) {
        guard let spool else { return completion() }
        spool.finish {
            spool.onProgress = nil
            completion()
        }
    }

    /// Gives up what was received.
    func cancel() {
        self.spool?.cancel()
        self.memory = ByteBuffer()
    }

    private func refuse() {
        self.cancel()
        self.refusal = StoreResponse(.outOfResources, errorComment: "data set over the limit of this server")
    }

    /// Why a data set was not kept.
    struct Refusal: Error {
        var response: StoreResponse
    }
}
