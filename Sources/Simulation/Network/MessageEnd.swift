// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// One end of a connection: cuts bytes into messages, checks directions and numbers, and lets streams send.
///
/// Stands for `MessageConnection` of ReplicationTransport and follows its rules; the framing, the sequences and the rules
/// of messages are the real ones.
class MessageEnd {
    let world: World
    let process: Process
    /// The life of the process that this end belongs to.
    let life: Int
    let side: Side
    let wire: Wire
    private(set) var isClosed = false
    private var reader = FrameReader()
    private var connectionSequence = MessageSequence()
    private var input = ByteBuffer()
    private var inbound: (any DataTaking)?
    private var turns: [MessageStream] = []
    private var closeReason: ReplicationError?
    private var hasEnded = false

    init(_ process: Process, _ side: Side, _ wire: Wire) {
        self.world = process.world
        self.process = process
        self.life = process.generation
        self.side = side
        self.wire = wire
    }

    private var outgoing: Wire.Direction { side == .client ? .toServer : .toClient }

    // MARK: For subclasses

    func heard() {}
    func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {}
    func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any DataTaking)? { nil }
    func eventCompleted() {}
    func disconnected(_ reason: ReplicationError) {}
    /// The process is gone, and all that it knew.
    func forget() {
        turns = []
        inbound = nil
    }

    func handshakeCompleted(version: UInt16) { reader.handshakeCompleted(version: version) }

    // MARK: Sending

    func send(_ message: Message) { write(message, [], 0, connectionSequence.next()) }

    func send(_ message: Message, on stream: MessageStream, flags: MessageFlags = []) {
        write(message, flags, stream.id, stream.sequence.next())
    }

    private func write(_ message: Message, _ flags: MessageFlags, _ stream: UInt32, _ sequence: UInt32) {
        guard !isClosed || closeReason != nil else { return }
        var buffer = ByteBuffer()
        message.write(to: &buffer, flags: flags, streamID: stream, sequence: sequence)
        world.mix(UInt64(message.type.rawValue) << 32 | UInt64(stream))
        wire.send(buffer, outgoing)
    }

    func requestTurn(_ stream: MessageStream) {
        guard !stream.hasTurn else { return }
        stream.hasTurn = true
        turns.append(stream)
    }

    /// Lets streams send: the end of every event from outside.
    func flush() {
        if !isClosed { eventCompleted() }
        while !isClosed, !turns.isEmpty {
            let stream = turns.removeFirst()
            stream.hasTurn = false
            while let (message, flags) = stream.nextOutbound() { send(message, on: stream, flags: flags) }
        }
    }

    func close(_ reason: ReplicationError, tellingPeer: Bool = true) {
        guard !isClosed else { return }
        isClosed = true
        closeReason = reason
        if tellingPeer { send(.error(reason)) }
        closeReason = nil
        wire.finish(outgoing)
        end(reason)
    }

    // MARK: Receiving

    func arrived(_ bytes: ByteBuffer) {
        process.after(0) { [self] in
            guard !isClosed else { return }
            heard()
            var bytes = bytes
            input.writeBuffer(&bytes)
            do throws(ReplicationError) {
                try read()
            } catch {
                close(error)
            }
            input.discardReadBytes()
            flush()
        }
    }

    /// The peer has ended the connection, or it is broken.
    func peerEnded() {
        guard process.isRunning, life == process.generation else { return }
        process.after(0) { [self] in
            guard !isClosed else { return }
            isClosed = true
            wire.finish(outgoing)
            end(ReplicationError(.connectionLost, "the connection ended"))
        }
    }

    private func end(_ reason: ReplicationError) {
        guard !hasEnded else { return }
        hasEnded = true
        turns = []
        inbound = nil
        disconnected(reason)
    }

    private func read() throws(ReplicationError) {
        while !isClosed {
            switch try reader.next(from: &input) {
            case .needsBytes: return
            case .dataBegan(let header):
                try checkDirection(of: header)
                inbound = try dataBegan(header)
            case .dataPiece(let piece): inbound?.dataPiece(piece)
            case .dataEnded:
                inbound?.dataEnded()
                inbound = nil
            case .message(let header, let payload):
                try checkDirection(of: header)
                if header.streamID == 0 { try connectionSequence.received(header) }
                try received(header, Message(header.type, payload: payload))
            }
        }
    }

    private func checkDirection(of header: MessageHeader) throws(ReplicationError) {
        guard header.type.isAllowed(from: side == .client ? .server : .client, onStream: header.streamID) else {
            throw ReplicationError(.protocolViolation, "\(header.type.name) from this side")
        }
    }
}

/// A stream that sends.
class MessageStream {
    var id: UInt32
    var sequence = MessageSequence()
    fileprivate(set) var hasTurn = false

    init(id: UInt32 = 0) { self.id = id }

    func nextOutbound() -> (Message, MessageFlags)? { nil }
}

/// A stream that takes DATA.
protocol DataTaking: AnyObject {
    func dataPiece(_ piece: ByteBuffer)
    func dataEnded()
}
