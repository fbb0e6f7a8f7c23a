// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import NIOCore
import NIOPosix

/// A received data set that lies in the spool, read in pieces while the rest of it may still be arriving.
struct SpooledSource: Sendable {
    /// The most of a data set that is read to find its Pixel Data element: headers are far smaller.
    static let maximumHeadByteCount = 16 << 20
    /// What is tried first.
    private static let firstHeadByteCount = 256 << 10

    let dataSet: SpooledDataSet

    /// Waits until all of the data set has arrived.
    func byteCount() async throws(StoreFailure) -> Int {
        try await Self.storing { () async throws(DICOMNetworkError) in try await dataSet.byteCount() }
    }

    /// Exactly the bytes of `range`, as soon as they have arrived.
    func read(_ range: Range<Int>) async throws(StoreFailure) -> ByteBuffer {
        guard !range.isEmpty else { return ByteBuffer() }
        return try await Self.storing { () async throws(DICOMNetworkError) in try await dataSet.read(range) }
    }

    /// The next bytes from `offset` on that have arrived, at most `limit`; empty at the end of the data set.
    func readNext(from offset: Int, limit: Int) async throws(StoreFailure) -> ByteBuffer {
        try await Self.storing { () async throws(DICOMNetworkError) in
            let arrived = try await dataSet.arrivedByteCount(atLeast: offset + limit)
            guard arrived > offset else { return ByteBuffer() }
            return try await dataSet.read(offset..<min(arrived, offset + limit))
        }
    }

    /// Reads as much of the data set as its header needs.
    ///
    /// Of a data set whose value before Pixel Data is larger than what is kept in memory (a document, a mesh), the
    /// header is what comes before that value. A deflated data set is waited for and inflated on one of `threads`.
    func instance(
        transferSyntax: TransferSyntax,
        expectedSOPClass: String,
        expectedSOPInstance: String,
        threads: NIOThreadPool
    ) async throws(StoreFailure) -> ReceivedInstance {
        if transferSyntax.isDeflated {
            return try ReceivedInstance(
                head: ByteBuffer(),
                isWhole: false,
                inflated: try await inflatedHead(threads),
                transferSyntax: transferSyntax,
                expectedSOPClass: expectedSOPClass,
                expectedSOPInstance: expectedSOPInstance
            )
        }
        func read(_ head: ByteBuffer, isWhole: Bool) throws(StoreFailure) -> ReceivedInstance {
            try ReceivedInstance(
                head: head,
                isWhole: isWhole,
                transferSyntax: transferSyntax,
                expectedSOPClass: expectedSOPClass,
                expectedSOPInstance: expectedSOPInstance
            )
        }
        var byteCount = Self.firstHeadByteCount
        while true {
            let head = try await readNext(from: 0, limit: byteCount)
            let isWhole = head.readableBytes < byteCount
            if isWhole || byteCount >= Self.maximumHeadByteCount {
                return try read(head, isWhole: isWhole)
            }
            let attempt = Result { () throws(StoreFailure) in try read(head, isWhole: false) }
            if case .success(let instance) = attempt, instance.pixelData != nil { return instance }
            byteCount *= 8
        }
    }

    /// Waits for all of the data set and inflates it, piece by piece.
    private func inflatedHead(_ threads: NIOThreadPool) async throws(StoreFailure) -> InflatedHead {
        let byteCount = try await byteCount()
        let dataSet = dataSet
        return try await threads.run { () throws(StoreFailure) in
            var offset = 0
            return try InflatedHead { () throws(StoreFailure) in
                guard offset < byteCount else { return nil }
                let range = offset..<min(offset + PayloadFile.pieceByteCount, byteCount)
                offset = range.upperBound
                do throws(DICOMNetworkError) {
                    return try dataSet.readBlocking(range)
                } catch {
                    throw StoreFailure(.unavailable, error.message)
                }
            }
        }
    }

    private static func storing<Value: Sendable>(
        _ work: () async throws(DICOMNetworkError) -> Value
    ) async throws(StoreFailure) -> Value {
        do throws(DICOMNetworkError) {
            return try await work()
        } catch {
            throw StoreFailure(error.code == .usage ? .malformed : .unavailable, error.message)
        }
    }
}

extension NIOThreadPool {
    /// Runs blocking work of the store path on one of the pool's threads.
    func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws(StoreFailure) -> Value
    ) async throws(StoreFailure) -> Value {
        let result: Result<Value, StoreFailure>
        do {
            result = try await runIfActive {
                do throws(StoreFailure) {
                    return .success(try work())
                } catch {
                    return .failure(error)
                }
            }
        } catch {
            throw StoreFailure(.unavailable, "the ingest node is shutting down")
        }
        return try result.get()
    }
}
