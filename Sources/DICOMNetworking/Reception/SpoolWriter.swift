// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

/// Writes one data set to a spool file, off the event loop and in order.
///
/// Lives on an event loop. One write is under way at a time; what arrives meanwhile is collected. The owner stops
/// reading while the writer `isFull`, and is told of every change through `onProgress`.
final class SpoolWriter {
    private let dataSet: SpooledDataSet
    private let directory: String
    private let pool: NIOThreadPool
    private let eventLoop: any EventLoop
    private let limit: Int

    private var file: SpoolFile?
    private var collected = ByteBuffer()
    private var writtenByteCount = 0
    private var isWriting = false
    /// Why nothing more is written.
    private(set) var failure: DICOMNetworkError?
    private var completion: (() -> Void)?

    private var byteCountInFlight = 0
    /// Called on the event loop after each write.
    ///
    /// Cleared when the data set is complete or given up.
    var onProgress: (() -> Void)?

    /// Smaller pieces are collected, so that a write is worth its thread hop.
    private static let writeByteCount = 1 << 20

    /// `dataSet` is told of all that gets into the file; `limit` is for the bytes collected and being written.
    init(
        dataSet: SpooledDataSet,
        directory: String,
        limit: Int,
        pool: NIOThreadPool,
        eventLoop: any EventLoop
    ) {
        self.dataSet = dataSet
        self.limit = limit
        self.directory = directory
        self.pool = pool
        self.eventLoop = eventLoop
    }

    /// Whether nothing more should be appended until `onProgress`.
    var isFull: Bool { self.byteCountInFlight > self.limit }

    /// Whether what is collected should be written, also when little: at the end, and where a small limit is reached.
    private var isWriteDue: Bool {
        self.collected.readableBytes >= Self.writeByteCount || self.isFull || self.completion != nil
    }

    /// Takes over what was received before the decision to spool.
    func start(with bytes: ByteBuffer) {
        self.byteCountInFlight = bytes.readableBytes
        self.collected = bytes
        self.writeIfIdle()
    }

    func append(_ bytes: ByteBuffer) {
        guard self.failure == nil else { return }
        if self.collected.capacity == 0 {
            self.collected.reserveCapacity(Self.writeByteCount)
        }
        self.collected.writeImmutableBuffer(bytes)
        self.byteCountInFlight += bytes.readableBytes
        if self.isWriteDue {
            self.writeIfIdle()
        }
    }

    /// Nothing more will be appended: calls `completion` on the event loop once everything is in the file, or can't be.
    func finish(_ completion: @escaping () -> Void) {
        self.completion = completion
        self.writeIfIdle()
        self.completeIfDone()
    }

    /// Forgets the data set.
    ///
    /// The file goes when the write under way is done.
    func cancel() {
        self.onProgress = nil
        self.completion = nil
        self.fail(DICOMNetworkError(.closed, "the data set was given up before its end"))
    }

    private func fail(_ error: DICOMNetworkError) {
        self.failure = self.failure ?? error
        self.collected = ByteBuffer()
        self.byteCountInFlight = 0
        self.dataSet.end(.failure(error))
    }

    private func writeIfIdle() {
        guard !self.isWriting, self.failure == nil, self.collected.readableBytes > 0 else { return }
        self.isWriting = true
        let bytes = self.collected
        self.collected = ByteBuffer()
        let offset = self.writtenByteCount
        let byteCount = bytes.readableBytes
        let (file, directory) = (self.file, self.directory)
        self.pool.runIfActive(eventLoop: self.eventLoop) {
            let target = try file ?? SpoolFile(directory: directory)
            try target.write(bytes, at: offset)
            return target
        }.assumeIsolated().whenComplete { result in
            self.isWriting = false
            guard self.failure == nil else { return self.progressed() }
            switch result {
            case .success(let file):
                self.byteCountInFlight -= byteCount
                self.file = file
                self.writtenByteCount += byteCount
                self.dataSet.arrived(self.writtenByteCount, in: file)
            case .failure(let error):
                let known = error as? DICOMNetworkError
                self.fail(known ?? DICOMNetworkError(.spool, "cannot spool the data set", cause: error))
            }
            self.progressed()
        }
    }

    private func progressed() {
        if self.isWriteDue {
            self.writeIfIdle()
        }
        self.completeIfDone()
        self.onProgress?()
    }

    private func completeIfDone() {
        guard !self.isWriting, let completion = self.completion else { return }
        self.completion = nil
        if self.failure == nil { self.dataSet.end(.success(self.writtenByteCount)) }
        completion()
    }
}
