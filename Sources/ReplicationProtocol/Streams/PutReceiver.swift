// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A put as the server sees it: bytes are counted and charged, memory is asked for, the service is started.
///
/// Pure; one stream owns it. It counts bytes but holds none: the shell keeps the buffers. A payload that is small
/// enough is collected whole before the service sees it; a larger one is passed on as it comes, never more than a
/// window of it ahead of the service.
public struct PutReceiver: Sendable {
    /// What a server allows a put.
    public struct Limits: Hashable, Sendable {
        public var maximumPayloadByteCount: UInt64
        /// Payloads up to this are collected whole.
        public var maximumWholePayloadByteCount: Int
        /// Bytes of a larger payload that may be held at once; more than `streamCredit`.
        public var windowByteCount: Int
        /// Bytes the client may send unsolicited.
        public var streamCredit: Int

        public init(
            maximumPayloadByteCount: UInt64,
            maximumWholePayloadByteCount: Int,
            windowByteCount: Int,
            streamCredit: Int
        ) {
            precondition(windowByteCount > streamCredit, "a window holds at least what may come unsolicited")
            self.maximumPayloadByteCount = maximumPayloadByteCount
            self.maximumWholePayloadByteCount = maximumWholePayloadByteCount
            self.windowByteCount = windowByteCount
            self.streamCredit = streamCredit
        }
    }

    /// What the shell is to do next, in order.
    public enum Action: Hashable, Sendable {
        /// Ask the budget for memory, then call ``memoryGranted(afterWaiting:)``.
        case reserveMemory(byteCount: Int)
        /// Send CREDIT on the stream.
        case grantCredit(byteCount: UInt64)
        /// These unsolicited bytes no longer burden the connection.
        case freeUnsolicited(byteCount: Int)
        /// Call the service with the bytes to come as a sequence.
        case startStreaming
        /// All is here: call the service.
        case startWhole
        /// The sequence that the service reads is complete.
        case finishSequence
        case sendAck(PutOutcome)
        case sendError(ReplicationError)
        /// The stream is over: stop the service, give memory back.
        case end
        /// The peer broke the protocol.
        case closeConnection(ReplicationError)
    }

    /// What the bytes that arrive are.
    public enum Part: Sendable {
        case metadata
        case data
    }

    private struct Progress: Hashable, Sendable {
        var metadataRemaining: Int
        var payloadRemaining: UInt64
        var unsolicitedRemaining: Int
        /// Unsolicited bytes held by the connection until memory is granted.
        var unsolicitedHeld = 0
        /// Bytes granted by CREDIT and not received.
        var credit: UInt64 = 0
        var hasGranted = false
        var isCommitted = false
        /// Bytes the service has taken that are not granted anew yet.
        var consumed: UInt64 = 0

        var remaining: UInt64 { UInt64(metadataRemaining) + payloadRemaining }
    }

    private enum State: Hashable, Sendable {
        /// Before ``begin()``. Exits: `waiting`, `ended`.
        case idle(Progress)
        /// Memory is asked for; unsolicited bytes may come. Exits: `receiving`, `executing`, `ended`.
        case waiting(Progress)
        /// Bytes come in. Exits: `executing`, `ended`.
        case receiving(Progress)
        /// All has come; the service is at work. Exits: `ended`.
        case executing
        case ended
    }

    /// Whether the payload is passed on as it comes.
    public let isStreamed: Bool
    private let limits: Limits
    private let payloadByteCount: UInt64
    private let metadataByteCount: Int
    private var state: State

    public init(_ begin: PutBegin, limits: Limits) {
        self.limits = limits
        self.payloadByteCount = begin.request.payloadByteCount
        self.metadataByteCount = begin.metadataByteCount
        self.isStreamed = begin.request.payloadByteCount > UInt64(limits.maximumWholePayloadByteCount)
        self.state = .idle(
            Progress(
                metadataRemaining: begin.metadataByteCount - begin.request.metadata.readableBytes,
                payloadRemaining: begin.request.payloadByteCount,
                unsolicitedRemaining: limits.streamCredit
            )
        )
    }

    /// PUT-BEGIN has been accepted by the session.
    public mutating func begin() -> [Action] {
        switch state {
        case .idle(let progress):
            guard payloadByteCount <= limits.maximumPayloadByteCount else {
                state = .ended
                let error = ReplicationError(
                    .tooLarge,
                    "a payload of \(payloadByteCount) bytes; \(limits.maximumPayloadByteCount) are allowed"
                )
                return [.sendError(error), .end]
            }
            state = .waiting(progress)
            let payload = isStreamed ? limits.windowByteCount : Int(payloadByteCount)
            return [.reserveMemory(byteCount: metadataByteCount + payload)]
        case .waiting, .receiving, .executing, .ended:
            preconditionFailure("a stream begins once")
        }
    }

    /// The memory is there.
    public mutating func memoryGranted(afterWaiting: Bool) -> [Action] {
        switch state {
        case .waiting(var progress):
            var actions: [Action] = []
            if progress.unsolicitedHeld > 0 { actions.append(.freeUnsolicited(byteCount: progress.unsolicitedHeld)) }
            progress.unsolicitedHeld = 0
            if afterWaiting || progress.remaining > UInt64(progress.unsolicitedRemaining) {
                actions += grantFirst(&progress)
            }
            if isStreamed, progress.metadataRemaining == 0 { actions.append(.startStreaming) }
            guard !progress.isCommitted else {
                state = .executing
                return actions + [isStreamed ? .finishSequence : .startWhole]
            }
            state = .receiving(progress)
            return actions
        case .ended:
            return []
        case .idle, .receiving, .executing:
            preconditionFailure("memory is granted once, after it was asked for")
        }
    }

    /// There is no memory to be had, ever.
    public mutating func memoryRefused(_ error: ReplicationError) -> [Action] {
        end(sending: .sendError(error))
    }

    /// Other streams wait for memory and hold the connection's unsolicited credit meanwhile: this one, which has its
    /// memory, is made independent of it.
    public mutating func othersWait() -> [Action] {
        switch state {
        case .receiving(var progress):
            let actions = progress.hasGranted ? [] : grantFirst(&progress)
            state = .receiving(progress)
            return actions
        case .idle, .waiting, .executing, .ended:
            return []
        }
    }

    /// A METADATA or the beginning of a DATA message has arrived.
    public mutating func received(_ part: Part, byteCount: Int, isUnsolicited: Bool) -> [Action] {
        switch state {
        case .waiting(var progress):
            do throws(ReplicationError) {
                try account(part, byteCount: byteCount, isUnsolicited: isUnsolicited, in: &progress)
            } catch {
                return close(error)
            }
            // Before memory is granted there is no credit: all bytes are unsolicited.
            progress.unsolicitedHeld += byteCount
            state = .waiting(progress)
            return []
        case .receiving(var progress):
            let hadMetadata = progress.metadataRemaining == 0
            do throws(ReplicationError) {
                try account(part, byteCount: byteCount, isUnsolicited: isUnsolicited, in: &progress)
            } catch {
                return close(error)
            }
            state = .receiving(progress)
            var actions: [Action] = isUnsolicited ? [.freeUnsolicited(byteCount: byteCount)] : []
            if isStreamed, !hadMetadata, progress.metadataRemaining == 0 { actions.append(.startStreaming) }
            return actions
        case .executing:
            return close(.violation("bytes after PUT-COMMIT"))
        case .idle, .ended:
            return []
        }
    }

    /// PUT-COMMIT has arrived.
    public mutating func commitReceived(payloadByteCount: UInt64) -> [Action] {
        switch state {
        case .waiting(var progress):
            guard progress.remaining == 0, payloadByteCount == self.payloadByteCount, !progress.isCommitted else {
                return close(.violation("PUT-COMMIT before all declared bytes"))
            }
            progress.isCommitted = true
            state = .waiting(progress)
            return []
        case .receiving(let progress):
            guard progress.remaining == 0, payloadByteCount == self.payloadByteCount else {
                return close(.violation("PUT-COMMIT before all declared bytes"))
            }
            state = .executing
            return [isStreamed ? .finishSequence : .startWhole]
        case .executing:
            return close(.violation("a second PUT-COMMIT"))
        case .idle, .ended:
            return []
        }
    }

    /// The service has taken bytes of the sequence.
    public mutating func consumed(byteCount: Int) -> [Action] {
        switch state {
        case .receiving(var progress):
            progress.consumed += UInt64(byteCount)
            // Half of what is granted first: the peer never runs dry while the service keeps up.
            let threshold = UInt64(limits.windowByteCount - limits.streamCredit + 1) / 2
            guard progress.consumed >= threshold, progress.remaining > progress.credit else {
                state = .receiving(progress)
                return []
            }
            let grant = progress.consumed
            progress.consumed = 0
            progress.credit += grant
            state = .receiving(progress)
            return [.grantCredit(byteCount: grant)]
        case .idle, .waiting, .executing, .ended:
            return []
        }
    }

    /// The record is durable.
    public mutating func serviceSucceeded(_ outcome: PutOutcome) -> [Action] {
        switch state {
        case .executing:
            state = .ended
            return [.sendAck(outcome), .end]
        case .idle, .waiting, .receiving:
            return end(sending: .sendError(ReplicationError(.internal, "the node finished a put before its end")))
        case .ended:
            return []
        }
    }

    /// The service refused or failed, or the request's time is up.
    public mutating func failed(_ error: ReplicationError) -> [Action] {
        end(sending: .sendError(error))
    }

    /// CANCEL has arrived, or the connection is gone.
    public mutating func cancelled() -> [Action] {
        end(sending: nil)
    }

    private mutating func account(
        _ part: Part,
        byteCount: Int,
        isUnsolicited: Bool,
        in progress: inout Progress
    ) throws(ReplicationError) {
        switch part {
        case .metadata:
            guard byteCount > 0, byteCount <= progress.metadataRemaining else {
                throw .violation("METADATA beyond the declared length")
            }
            progress.metadataRemaining -= byteCount
        case .data:
            guard progress.metadataRemaining == 0, UInt64(byteCount) <= progress.payloadRemaining else {
                throw .violation("DATA beyond the declared length or before all METADATA")
            }
            progress.payloadRemaining -= UInt64(byteCount)
        }
        if isUnsolicited {
            guard byteCount <= progress.unsolicitedRemaining else {
                throw .violation("bytes beyond the stream's credit")
            }
            progress.unsolicitedRemaining -= byteCount
        } else {
            guard UInt64(byteCount) <= progress.credit else { throw .violation("bytes beyond the stream's credit") }
            progress.credit -= UInt64(byteCount)
        }
    }

    /// Whole: all that is to come.
    ///
    /// Streamed: the window, less what may yet come (or came) unsolicited.
    private func grantFirst(_ progress: inout Progress) -> [Action] {
        let window = UInt64(limits.windowByteCount - limits.streamCredit)
        let grant = isStreamed ? UInt64(progress.metadataRemaining) + window : progress.remaining
        progress.hasGranted = true
        guard grant > 0 else { return [] }
        progress.credit += grant
        return [.grantCredit(byteCount: grant)]
    }

    private mutating func end(sending message: Action?) -> [Action] {
        let held: Int
        switch state {
        case .idle(let progress), .waiting(let progress), .receiving(let progress): held = progress.unsolicitedHeld
        case .executing: held = 0
        case .ended: return []
        }
        state = .ended
        var actions: [Action] = held > 0 ? [.freeUnsolicited(byteCount: held)] : []
        if let message { actions.append(message) }
        return actions + [.end]
    }

    private mutating func close(_ error: ReplicationError) -> [Action] {
        state = .ended
        return [.closeConnection(error)]
    }
}
