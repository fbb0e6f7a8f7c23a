// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import NIOCore
import NIOPosix

/// A received data set that lies in the spool, read in pieces on the spool's threads.
struct SpooledSource: Sendable {
    /// The most of a data set that is read to find its Pixel Data element: headers are far smaller.
    static let maximumHeadByteCount = 16 << 20

    let dataSet: SpooledDataSet
    let threads: NIOThreadPool

    var byteCount: Int { dataSet.byteCount }

    /// The first part of the data set.
    func head() async throws(StoreFailure) -> ByteBuffer {
        try await read(0..<min(byteCount, Self.maximumHeadByteCount))
    }

    /// Exactly the bytes of `range`.
    func read(_ range: Range<Int>) async throws(StoreFailure) -> ByteBuffer {
        guard !range.isEmpty else { return ByteBuffer() }
        return try await threads.run { () throws(StoreFailure) in try self.readBlocking(range) }
    }

    /// As ``read(_:)``, on the calling thread.
    func readBlocking(_ range: Range<Int>) throws(StoreFailure) -> ByteBuffer {
        do throws(DICOMNetworkError) {
            return try dataSet.readBlocking(range)
        } catch {
            throw StoreFailure(.unavailable, error.description)
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
