// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import ReplicationProtocol

/// The channel handler at one end of a connection: what client and server have in common.
///
/// Everything here runs on the connection's event loop. Bytes in are cut into messages and handed to the subclass;
/// streams that have something to send take turns while the channel takes bytes.
class MessageConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes a stream may send before the next one has its turn: small puts go out whole, one after the other.
    private static let turnByteCount = 1 << 20
    /// The same for repair and scrub, which others should not have to wait for.
    private static let backgroundTurnByteCount = 1 << 18

    let eventLoop: any EventLoop
    let logger: Logger
    private(set) var writer: MessageWriter?
    private(set) var isClosed = false
    private let side: Side
    private let hasTLS: Bool
    private let mapEpoch: UInt32
    private var context: ChannelHandlerContext?
    private var reader = FrameReader()
    private var inboundStream: (any InboundStream)?
    private var turns = TurnQueue()
    private var isStarted = false
    private var hasEnded = false
    private var isSending = false
    private var closeReason: ReplicationError?

    init(side: Side, hasTLS: Bool, eventLoop: any EventLoop, mapEpoch: UInt32, logger: Logger) {
        self.side = side
        self.hasTLS = hasTLS
        self.eventLoop = eventLoop
        self.mapEpoch = mapEpoch
        self.logger = logger
    }

    // MARK: - For subclasses

    /// The connection is up.
    func connected() {}
    /// Bytes have arrived.
    func heard() {}
    /// A message other than DATA has arrived, of a type that the peer may send on that stream.
    func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {}
    /// A DATA message begins; `nil` when its bytes are of no use.
    func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any InboundStream)? { nil }
    /// An event from outside has been worked on: the last moment to write before the flush.
    func eventCompleted() {}
    /// The connection is gone: every stream fails.
    func disconnected(_ reason: ReplicationError) {}

    // MARK: - Sending

    func handshakeCompleted(version: UInt16) {
        reader.handshakeCompleted(version: version)
    }

    /// Writes a message for the connection itself.
    func send(_ message: Message) {
        writer?.write(message)
    }

    /// Writes a message of a stream.
    func send(_ message: Message, on stream: OutboundStream) {
        writer?.write(message, streamID: stream.id, sequence: stream.sequence.next())
    }

    /// Writes the message that opens a stream: its flags say the stream's priority, beside `other` ones.
    func sendOpening(_ message: Message, flags other: MessageFlags = [], on stream: OutboundStream) {
        let flags = MessageFlags(stream.priority).union(other)
        writer?.write(message, flags: flags, streamID: stream.id, sequence: stream.sequence.next())
    }

    /// The stream has something to send: it gets a turn.
    func requestTurn(_ stream: OutboundStream) {
        guard !stream.hasTurn else { return }
        stream.hasTurn = true
        turns.append(stream)
    }

    /// Lets streams send while the channel takes bytes, and flushes: the end of every event from outside.
    func sendAndFlush() {
        // A flush may make the channel writable and so come back here: the outer call goes on instead.
        guard !isSending else { return }
        isSending = true
        if !isClosed { eventCompleted() }
        repeat {
            while let context, context.channel.isWritable, let stream = turns.next() {
                stream.hasTurn = false
                if sendTurn(of: stream, context: context) { requestTurn(stream) }
            }
            writer?.flush()
        } while !turns.isEmpty && context?.channel.isWritable == true
        isSending = false
        if writer?.isOverrun == true {
            close(ReplicationError(.overloaded, "the peer sends requests and reads no answers"))
        }
    }

    /// Whether the stream has more to send.
    private func sendTurn(of stream: OutboundStream, context: ChannelHandlerContext) -> Bool {
        var sentByteCount = 0
        let limit = stream.priority.isBackground ? Self.backgroundTurnByteCount : Self.turnByteCount
        defer { turns.given(stream.priority, byteCount: sentByteCount) }
        while let outbound = stream.nextOutbound() {
            switch outbound {
            case .message(let message): send(message, on: stream)
            case .bytes(let type, let payload, let flags):
                writer?.write(type, payload, flags: flags, streamID: stream.id, sequence: stream.sequence.next())
                sentByteCount += payload.readableBytes
            }
            guard sentByteCount < limit, context.channel.isWritable else { return true }
        }
        return false
    }

    /// The holder of the certificate that the peer, which calls itself `identity`, has shown; `nil` without TLS.
    ///
    /// - Throws: `.unauthenticated` when the peer is somebody else.
    func certifiedPeer(_ identity: HelloIdentity) throws(ReplicationError) -> CertificateIdentity? {
        guard hasTLS else { return nil }
        guard let context else { throw ReplicationError(.connectionLost, "the connection is gone") }
        let holder = try PeerCertificate.identity(in: context.pipeline.syncOperations)
        if let error = holder.objection(to: identity) { throw error }
        return holder
    }

    /// Ends the connection.
    ///
    /// A reason that the peer should know is sent to it first.
    func close(_ reason: ReplicationError, tellingPeer: Bool = true) {
        guard !isClosed, let context else { return }
        isClosed = true
        closeReason = reason
        if tellingPeer { send(.error(reason)) }
        writer?.flush()
        context.close(promise: nil)
    }

    // MARK: - ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        writer = MessageWriter(context: context, mapEpoch: mapEpoch)
        if context.channel.isActive { start() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
        writer = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        start()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed else { return }
        var input = unwrapInboundIn(data)
        heard()
        do throws(ReplicationError) {
            try read(&input)
        } catch {
            close(error)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        sendAndFlush()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            writer?.becameWritable()
            sendAndFlush()
        }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(ReplicationError(.connectionLost, "the connection failed: \(error)"), tellingPeer: false)
    }

    /// The channel is inactive, or closed before it ever was active.
    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        isClosed = true
        turns.removeAll()
        disconnected(closeReason ?? ReplicationError(.connectionLost, "the connection ended"))
    }

    private func start() {
        guard !isStarted else { return }
        isStarted = true
        connected()
        sendAndFlush()
    }

    // MARK: - Reading

    private func read(_ input: inout ByteBuffer) throws(ReplicationError) {
        while !isClosed {
            switch try reader.next(from: &input) {
            case .needsBytes:
                return
            case .dataBegan(let header):
                try checkDirection(of: header)
                inboundStream = try dataBegan(header)
            case .dataPiece(let piece):
                inboundStream?.dataPiece(piece)
            case .dataEnded:
                inboundStream?.dataEnded()
                inboundStream = nil
            case .message(let header, let payload):
                try checkDirection(of: header)
                if header.streamID == 0 { try writer?.receivedForConnection(header) }
                try received(header, Message(header.type, payload: payload))
            }
        }
    }

    private func checkDirection(of header: MessageHeader) throws(ReplicationError) {
        let peer: Side = side == .client ? .server : .client
        guard header.type.isAllowed(from: peer, onStream: header.streamID) else {
            throw ReplicationError(
                .protocolViolation,
                "\(header.type.name) on stream \(header.streamID) from this side"
            )
        }
    }
}

/// What a stream sends in its turn.
enum OutboundItem {
    case message(Message)
    /// DATA or METADATA.
    case bytes(MessageType, ByteBuffer, flags: MessageFlags)
}

/// A stream that sends: what a connection knows of it.
///
/// Event-loop state.
class OutboundStream {
    /// Its number on the connection; 0 while it has none.
    var id: UInt32
    let priority: RequestPriority
    var sequence = MessageSequence()
    fileprivate(set) var hasTurn = false

    init(id: UInt32 = 0, priority: RequestPriority) {
        self.id = id
        self.priority = priority
    }

    /// The next thing to send; `nil` when there is nothing at the moment.
    func nextOutbound() -> OutboundItem? { nil }
}

/// A stream that takes DATA.
///
/// Event-loop state.
protocol InboundStream: AnyObject {
    /// Bytes, not yet verified.
    func dataPiece(_ piece: ByteBuffer)
    /// The message is complete and verified.
    func dataEnded()
}
