// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
public import NIOCore
import NIOPosix

/// A data set too long for memory, in a file without a name, of which the end may still be arriving.
///
/// Reading waits for what has not arrived yet. The file's space is given back when the last reference goes, and by the
/// kernel if the process dies. May be used from any thread; reads run on the server's spool threads, as long as it has
/// not shut down.
public final class SpooledDataSet: Sendable {
    private struct State {
        var file: SpoolFile?
        /// Bytes in the file.
        var arrivedByteCount = 0
        /// Set once nothing more will arrive: the byte count of the whole, or why it never got whole.
        var outcome: Result<Int, DICOMNetworkError>?
        var waiting: [(upTo: Int, continuation: CheckedContinuation<Void, Never>)] = []

        /// Takes out who need not wait any longer.
        mutating func takeReady() -> [CheckedContinuation<Void, Never>] {
            let ready = waiting.filter { outcome != nil || $0.upTo <= arrivedByteCount }.map(\.continuation)
            if !ready.isEmpty { waiting.removeAll { outcome != nil || $0.upTo <= arrivedByteCount } }
            return ready
        }
    }

    private let state = NIOLockedValueBox(State())
    private let pool: NIOThreadPool

    init(pool: NIOThreadPool) {
        self.pool = pool
    }

    /// Waits until the whole data set has arrived; its length in bytes.
    ///
    /// - Throws: `.closed` when the association ended before, `.spool` when it could not be written or is over the limit.
    public func byteCount() async throws(DICOMNetworkError) -> Int {
        await self.arrival(upTo: .max)
        guard let outcome = self.state.withLockedValue({ $0.outcome }) else {
            throw DICOMNetworkError(.usage, "the data set is still arriving")
        }
        return try outcome.get()
    }

    /// Waits for `byteCount` bytes from the start, or for the end of the data set if that is sooner.
    ///
    /// - Returns: how many bytes are there then: less than `byteCount` only if that is all of them.
    /// - Throws: as ``byteCount()``.
    public func arrivedByteCount(atLeast byteCount: Int) async throws(DICOMNetworkError) -> Int {
        await self.arrival(upTo: byteCount)
        let (arrived, outcome) = self.state.withLockedValue { ($0.arrivedByteCount, $0.outcome) }
        return try outcome?.get() ?? arrived
    }

    /// Reads exactly `range` on a spool thread, waiting for it to arrive.
    ///
    /// - Throws: as ``byteCount()``; `.usage` when the data set ends before the end of `range`.
    public func read(_ range: Range<Int>) async throws(DICOMNetworkError) -> ByteBuffer {
        guard try await self.arrivedByteCount(atLeast: range.upperBound) >= range.upperBound else {
            throw Self.tooShort(range)
        }
        let result: Result<ByteBuffer, DICOMNetworkError>
        do {
            result = try await self.pool.runIfActive {
                Result { () throws(DICOMNetworkError) in try self.readBlocking(range) }
            }
        } catch {
            throw DICOMNetworkError(.closed, "the server is shutting down")
        }
        return try result.get()
    }

    /// Reads a range that has arrived.
    ///
    /// Blocks: not for event loops or the cooperative pool.
    public func readBlocking(_ range: Range<Int>) throws(DICOMNetworkError) -> ByteBuffer {
        let (file, arrived) = self.state.withLockedValue { ($0.file, $0.arrivedByteCount) }
        guard let file, range.lowerBound >= 0, range.upperBound <= arrived else { throw Self.tooShort(range) }
        return try file.read(range)
    }

    private static func tooShort(_ range: Range<Int>) -> DICOMNetworkError {
        DICOMNetworkError(.usage, "the data set ends before byte \(range.upperBound)")
    }

    private func arrival(upTo byteCount: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = self.state.withLockedValue { state in
                if state.outcome != nil || state.arrivedByteCount >= byteCount { return true }
                state.waiting.append((byteCount, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    // MARK: For the writer

    /// Everything up to `byteCount` is in `file` now.
    func arrived(_ byteCount: Int, in file: SpoolFile) {
        self.change { state in
            state.file = file
            state.arrivedByteCount = byteCount
        }
    }

    /// Nothing more will arrive; the first outcome counts.
    func end(_ outcome: Result<Int, DICOMNetworkError>) {
        self.change { state in
            if state.outcome == nil { state.outcome = outcome }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let ready = self.state.withLockedValue { state in
            body(&state)
            return state.takeReady()
        }
        for continuation in ready { continuation.resume() }
    }
}
