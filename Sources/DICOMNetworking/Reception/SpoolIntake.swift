// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import NIOPosix

/// Fills a ``SpooledDataSet`` from a task, as what comes by HTTP is read.
///
/// For one task at a time. Whoever calls ``append(_:)`` waits while a mebibyte is written, so that no more than that is
/// in memory and a fast sender is held back. Released before ``finish()``, the data set ends as one that was given up.
public final class SpoolIntake {
    /// What is filled: may be read, by any task, while it is.
    public let dataSet: SpooledDataSet
    private let directory: String
    private let maximumByteCount: Int
    private let pool: NIOThreadPool

    private var file: SpoolFile?
    private var collected = ByteBuffer()
    private var writtenByteCount = 0

    /// Smaller pieces are collected, so that a write is worth its thread hop.
    private static let writeByteCount = 1 << 20

    /// The file is made in `directory` with the first write; all reading and writing is done on `pool`'s threads.
    public init(directory: String, maximumByteCount: Int, pool: NIOThreadPool) {
        self.dataSet = SpooledDataSet(pool: pool)
        self.directory = directory
        self.maximumByteCount = maximumByteCount
        self.pool = pool
    }

    deinit {
        // The first outcome counts: after `finish` this changes nothing.
        self.dataSet.end(.failure(DICOMNetworkError(.closed, "the data set was given up before its end")))
    }

    /// Takes the next bytes.
    ///
    /// - Throws: `.spool` when they cannot be written or the data set gets over its limit; it is given up then.
    public func append(_ bytes: ByteBuffer) async throws(DICOMNetworkError) {
        guard self.writtenByteCount + self.collected.readableBytes + bytes.readableBytes <= self.maximumByteCount else {
            throw self.failed(
                DICOMNetworkError(.spool, "the data set is over the limit of \(self.maximumByteCount) bytes")
            )
        }
        var rest = bytes
        while rest.readableBytes > 0 {
            let room = min(Self.writeByteCount - self.collected.readableBytes, rest.readableBytes)
            guard var piece = rest.readSlice(length: room) else { return }
            if self.collected.capacity == 0 { self.collected.reserveCapacity(Self.writeByteCount) }
            self.collected.writeBuffer(&piece)
            if self.collected.readableBytes >= Self.writeByteCount { try await self.write() }
        }
    }

    /// Nothing more will come: writes what is left.
    ///
    /// - Throws: as ``append(_:)``.
    public func finish() async throws(DICOMNetworkError) {
        if self.collected.readableBytes > 0 { try await self.write() }
        self.dataSet.end(.success(self.writtenByteCount))
    }

    /// Gives the data set up: whoever reads it is told.
    public func cancel() {
        self.dataSet.end(.failure(DICOMNetworkError(.closed, "the data set was given up before its end")))
    }

    private func write() async throws(DICOMNetworkError) {
        let bytes = self.collected
        self.collected = ByteBuffer()
        let (file, directory, offset) = (self.file, self.directory, self.writtenByteCount)
        let result: Result<SpoolFile, DICOMNetworkError>
        do {
            result = try await self.pool.runIfActive {
                do throws(DICOMNetworkError) {
                    let target = if let file { file } else { try SpoolFile(directory: directory) }
                    try target.write(bytes, at: offset)
                    return .success(target)
                } catch {
                    return .failure(error)
                }
            }
        } catch {
            throw self.failed(DICOMNetworkError(.closed, "the server is shutting down"))
        }
        switch result {
        case .success(let file):
            self.file = file
            self.writtenByteCount += bytes.readableBytes
            self.dataSet.arrived(self.writtenByteCount, in: file)
        case .failure(let error): throw self.failed(error)
        }
    }

    private func failed(_ error: DICOMNetworkError) -> DICOMNetworkError {
        self.collected = ByteBuffer()
        self.dataSet.end(.failure(error))
        return error
    }
}
