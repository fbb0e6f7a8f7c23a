// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOConcurrencyHelpers
public import NIOCore

/// An instance that the peer of an association of ours sends: the sub-operation of a C-GET.
///
/// For the task that it was given to, until that has answered it.
public struct IncomingStore: Sendable {
    /// As the peer says; not checked.
    public let sopClassUID: String
    /// As the peer says; not checked.
    public let sopInstanceUID: String
    /// The transfer syntax of the data set, by UID.
    public let transferSyntax: String
    let command: CommandSet
    let contextID: UInt8
    /// Whether its presentation context is for its SOP class.
    let isOfItsContext: Bool
    let intake: StoreIntake

    /// The next bytes of the data set, about a mebibyte; nil at its end.
    ///
    /// Throws when the association has failed.
    public func nextPiece() async throws(DICOMNetworkError) -> ByteBuffer? {
        try await self.intake.nextPiece()
    }
}

/// Hands what the peer sends during a C-GET from the connection's event loop to the task that waits for it.
///
/// The handler puts in, one task takes out. No more than `limit` bytes and a receive buffer are held: the handler stops
/// reading until the task has caught up.
final class StoreIntake: Sendable {
    enum Arrival {
        case store(CommandSet, NegotiatedContexts.Context)
        case piece(ByteBuffer)
        case endOfDataSet
    }

    private struct State {
        var arrivals = CircularBuffer<Arrival>()
        /// Bytes of the data set that are too few for a piece.
        var collected = ByteBuffer()
        var byteCount = 0
        /// Whether the handler has stopped reading.
        var isHeld = false
        /// Set once nothing more arrives.
        var outcome: Result<Void, DICOMNetworkError>?
        var waiting: CheckedContinuation<Void, Never>?
        /// Whether the task has come to the end of the data set.
        var isDataSetRead = true
    }

    private let state = NIOLockedValueBox(State())
    private let limit: Int
    private let resume: @Sendable () -> Void

    /// Smaller pieces are collected, so that a write is worth its thread hop.
    static let pieceByteCount = 1 << 20

    /// `resume` has the handler go on reading.
    init(limit: Int = 4 << 20, resume: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.resume = resume
    }

    // MARK: For the handler

    func begin(_ command: CommandSet, in context: NegotiatedContexts.Context) {
        self.change { $0.arrivals.append(.store(command, context)) }
    }

    /// Copies the bytes; whether reading has to stop.
    func append(_ bytes: ByteBuffer, isEnd: Bool) -> Bool {
        self.change { state in
            state.collected.writeImmutableBuffer(bytes)
            state.byteCount += bytes.readableBytes
            if state.collected.readableBytes >= Self.pieceByteCount || isEnd {
                if state.collected.readableBytes > 0 { state.arrivals.append(.piece(state.collected)) }
                state.collected = ByteBuffer()
            }
            if isEnd { state.arrivals.append(.endOfDataSet) }
            state.isHeld = state.byteCount > self.limit
            return state.isHeld
        }
    }

    /// The operation has ended; the first outcome counts.
    func end(_ outcome: Result<Void, DICOMNetworkError>) {
        self.change { state in
            if state.outcome == nil { state.outcome = outcome }
        }
    }

    private func change<Value>(_ body: (inout State) -> Value) -> Value {
        let (value, waiting) = self.state.withLockedValue { state in
            let value = body(&state)
            guard !state.arrivals.isEmpty || state.outcome != nil else {
                return (value, CheckedContinuation<Void, Never>?.none)
            }
            let waiting = state.waiting
            state.waiting = nil
            return (value, waiting)
        }
        waiting?.resume()
        return value
    }

    // MARK: For the task

    /// The next instance; nil when the operation has ended in order.
    func nextStore() async throws(DICOMNetworkError) -> IncomingStore? {
        while let arrival = try await self.next() {
            guard case .store(let command, let context) = arrival else { continue }
            return IncomingStore(
                sopClassUID: command.affectedSOPClassUID ?? "",
                sopInstanceUID: command.affectedSOPInstanceUID ?? "",
                transferSyntax: context.transferSyntax,
                command: command,
                contextID: context.id,
                isOfItsContext: command.affectedSOPClassUID == context.abstractSyntax,
                intake: self
            )
        }
        return nil
    }

    func nextPiece() async throws(DICOMNetworkError) -> ByteBuffer? {
        guard !self.state.withLockedValue({ $0.isDataSetRead }),
            case .piece(let bytes)? = try await self.next()
        else { return nil }
        return bytes
    }

    /// Takes the rest of a data set out.
    func passOver() async throws(DICOMNetworkError) {
        while try await self.nextPiece() != nil {}
    }

    private func next() async throws(DICOMNetworkError) -> Arrival? {
        while true {
            let (arrival, outcome, isFree) = self.state.withLockedValue { state in
                let arrival = state.arrivals.popFirst()
                switch arrival {
                case .store?: state.isDataSetRead = false
                case .piece(let bytes)?: state.byteCount -= bytes.readableBytes
                case .endOfDataSet?: state.isDataSetRead = true
                case nil: break
                }
                let isFree = state.isHeld && state.byteCount <= self.limit / 2
                if isFree { state.isHeld = false }
                return (arrival, state.outcome, isFree)
            }
            if isFree { self.resume() }
            if let arrival { return arrival }
            if let outcome {
                try outcome.get()
                return nil
            }
            await self.arrival()
        }
    }

    private func arrival() async {
        await withCheckedContinuation { continuation in
            let isThere = self.state.withLockedValue { state in
                if !state.arrivals.isEmpty || state.outcome != nil { return true }
                state.waiting = continuation
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}
