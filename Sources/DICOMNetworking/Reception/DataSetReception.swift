// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore
import NIOPosix

/// Puts the fragments of one data set where they are kept: in memory, or beyond a limit in a spool file.
///
/// Lives on an event loop. Each byte is copied once, out of the receive buffer. Memory grows with what
/// arrived; the first reservation follows the data sets that this association sent before.
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
    private var failure: StoreResponse?
    private(set) var byteCount = 0

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

    func append(_ bytes: ByteBuffer) {
        self.byteCount += bytes.readableBytes
        guard self.failure == nil else { return }
        if let spool {
            guard self.byteCount <= self.limits.byteCount else { return self.refuse() }
            spool.append(bytes)
        } else if self.byteCount <= self.limits.inMemoryByteCount {
            self.memory.writeImmutableBuffer(bytes)
        } else {
            guard self.byteCount <= self.limits.byteCount else { return self.refuse() }
            let spool = SpoolWriter(
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
        }
    }

    /// Hands over the data set, or the answer to give instead.
    ///
    /// Calls back at once for data sets in memory.
    func finish(_ completion: @escaping (Result<ReceivedDataSet, Refusal>) -> Void) {
        if let failure {
            completion(.failure(Refusal(response: failure, cause: nil)))
        } else if let spool {
            spool.finish { result in
                spool.onProgress = nil
                switch result {
                case .success(let dataSet):
                    completion(.success(.file(dataSet)))
                case .failure(let error):
                    let response = StoreResponse(.outOfResources, errorComment: "cannot spool the data set")
                    completion(.failure(Refusal(response: response, cause: error)))
                }
            }
        } else {
            let bytes = self.memory
            self.memory = ByteBuffer()
            completion(.success(.memory(bytes)))
        }
    }

    /// Gives up what was received.
    func cancel() {
        self.spool?.cancel()
        self.spool = nil
        self.memory = ByteBuffer()
    }

    private func refuse() {
        self.cancel()
        self.failure = StoreResponse(.outOfResources, errorComment: "data set over the limit of this server")
    }

    /// Why a data set was not kept.
    struct Refusal: Error {
        var response: StoreResponse
        var cause: (any Error)?
    }
}
