// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Joins fragments into DIMSE messages: a command set, then the data set it announces.
///
/// Owned by one association. Command sets are collected here up to a limit; the bytes of data sets are handed
/// through, to be put where the owner wants them.
public struct MessageAssembler: Sendable {
    /// What a fragment brought.
    public enum Outcome: Sendable, Equatable {
        /// A part of a command set: nothing to do yet.
        case incomplete
        /// A command set is complete. With `hasDataSet`, its data set follows.
        case command(CommandSet, contextID: UInt8)
        /// The fragment's bytes belong to the data set of the last command; `isEnd` completes the message.
        case dataSet(isEnd: Bool)
    }

    private enum State {
        case idle
        case command(ByteBuffer, contextID: UInt8)
        case dataSet(contextID: UInt8)
    }

    /// The longest command set.
    ///
    /// Ordinary ones have 100 to 300 bytes.
    public static let maximumCommandByteCount = 64 * 1024

    private var state = State.idle

    public init() {}

    /// Whether no message is in progress.
    public var isIdle: Bool {
        if case .idle = self.state { true } else { false }
    }

    public mutating func receive(_ fragment: PDUDecoder.Fragment) throws(DIMSEError) -> Outcome {
        switch self.state {
        case .idle:
            guard fragment.isCommand else {
                throw DIMSEError(.unexpectedFragment, "a data set fragment where no command announced one")
            }
            return try self.collect(fragment, into: ByteBuffer())
        case .command(let collected, let contextID):
            guard fragment.isCommand, fragment.contextID == contextID else {
                throw DIMSEError(.unexpectedFragment, "a fragment of another message within a command set")
            }
            return try self.collect(fragment, into: collected)
        case .dataSet(let contextID):
            guard !fragment.isCommand, fragment.contextID == contextID else {
                throw DIMSEError(.unexpectedFragment, "a fragment of another message within a data set")
            }
            if fragment.isEnd {
                self.state = .idle
            }
            return .dataSet(isEnd: fragment.isEnd)
        }
    }

    private mutating func collect(
        _ fragment: PDUDecoder.Fragment,
        into collected: ByteBuffer
    ) throws(DIMSEError) -> Outcome {
        // Released here, so that appending does not copy what was collected.
        self.state = .idle
        var collected = collected
        guard collected.readableBytes + fragment.bytes.readableBytes <= Self.maximumCommandByteCount else {
            throw DIMSEError(
                .lengthOverLimit,
                "a command set of more than \(Self.maximumCommandByteCount) bytes"
            )
        }
        collected.writeImmutableBuffer(fragment.bytes)
        guard fragment.isEnd else {
            self.state = .command(collected, contextID: fragment.contextID)
            return .incomplete
        }
        let command = try CommandSet(decoding: collected)
        if command.hasDataSet {
            self.state = .dataSet(contextID: fragment.contextID)
        }
        return .command(command, contextID: fragment.contextID)
    }
}
