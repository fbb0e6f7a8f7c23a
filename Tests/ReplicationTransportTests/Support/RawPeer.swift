// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol

/// A message as it came over the wire.
struct WireMessage: Sendable {
    let header: MessageHeader
    let message: Message
}

/// One end of a connection that sends whatever a test tells it to, right or wrong.
final class RawPeer: Sendable {
    private let channel: any Channel
    private let inbox: Inbox

    fileprivate init(channel: any Channel, inbox: Inbox) {
        self.channel = channel
        self.inbox = inbox
    }

    /// Connects to a server.
    static func connect(port: Int, reads: Bool = true, receiveBufferByteCount: Int32? = nil) async throws -> RawPeer {
        let inbox = Inbox()
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RawHandler(inbox: inbox))
                }
            }
        if let receiveBufferByteCount {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBufferByteCount))
        }
        let channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        return RawPeer(channel: channel, inbox: inbox)
    }

    /// Connects and shakes hands.
    static func handshake(port: Int, reads: Bool = true, receiveBufferByteCount: Int32? = nil) async throws -> RawPeer {
        let peer = try await connect(port: port, reads: reads, receiveBufferByteCount: receiveBufferByteCount)
        let identity = HelloIdentity(
            clusterID: Loopback.cluster,
            nodeID: Loopback.ingest,
            incarnation: 1,
            role: .ingest
        )
        await peer.send(.hello(Hello(identity: identity)))
        if reads {
            guard case .helloAck = await peer.next()?.message else {
                throw ReplicationError(.internal, "no HELLO-ACK")
            }
        }
        return peer
    }

    func send(
        _ message: Message,
        flags: MessageFlags = [],
        stream: UInt32 = 0,
        sequence: UInt32 = 0
    ) async {
        var bytes = ByteBuffer()
        message.write(to: &bytes, flags: flags, streamID: stream, sequence: sequence)
        await send(bytes)
    }

    /// Sends bytes; whether they arrived shows in the answer, or in the end of the connection.
    func send(_ bytes: ByteBuffer) async {
        // The other end may have closed already, which the test sees when it reads.
        try? await channel.writeAndFlush(bytes)
    }

    /// Reads from now on, what has arrived before included.
    func startReading() async throws {
        try await channel.setOption(.autoRead, value: true).get()
    }

    /// Whether the connection is still up.
    var isOpen: Bool { channel.isActive }

    /// The next message; `nil` once the other end has closed.
    func next() async -> WireMessage? {
        await inbox.next()
    }

    /// All messages up to the end of the connection.
    func rest() async -> [WireMessage] {
        var messages: [WireMessage] = []
        while let message = await next() { messages.append(message) }
        return messages
    }

    func close() async {
        // Closed already is as good.
        try? await channel.close()
    }

    func closed() async {
        // The close future never fails.
        try? await channel.closeFuture.get()
    }
}

/// A server that answers as a test's script says; the script runs on the connection's event loop.
final class ScriptedServer: Sendable {
    typealias Script = @Sendable (WireMessage, Responder) -> Void

    let port: Int
    private let channel: any Channel

    /// Sends answers, with right numbers.
    final class Responder {
        private let context: ChannelHandlerContext
        private var sequences: [UInt32: MessageSequence] = [:]

        init(context: ChannelHandlerContext) {
            self.context = context
        }

        func send(_ message: Message, stream: UInt32 = 0) {
            var bytes = ByteBuffer()
            let sequence = sequences[stream, default: MessageSequence()].next()
            message.write(to: &bytes, streamID: stream, sequence: sequence)
            context.writeAndFlush(NIOAny(bytes), promise: nil)
        }

        func accept() {
            let identity = HelloIdentity(
                clusterID: Loopback.cluster,
                nodeID: Loopback.node,
                incarnation: 1,
                role: .storage
            )
            send(.helloAck(HelloAck(identity: identity, version: 1, features: 0, limits: SessionLimits())))
        }

        func close() {
            context.close(promise: nil)
        }
    }

    private init(channel: any Channel, port: Int) {
        self.channel = channel
        self.port = port
    }

    static func run(script: @escaping Script, body: (ScriptedServer) async throws -> Void) async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RawHandler(inbox: nil, script: script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = ScriptedServer(channel: channel, port: channel.localAddress?.port ?? 0)
        do {
            try await body(server)
        } catch {
            // Closed already is as good.
            try? await channel.close()
            throw error
        }
        try await channel.close()
    }
}

/// Messages that arrived, for one task to read.
private final class Inbox: Sendable {
    private struct State {
        var messages: [WireMessage] = []
        var isClosed = false
        var waiter: CheckedContinuation<WireMessage?, Never>?
    }

    private let state = NIOLockedValueBox(State())

    func append(_ message: WireMessage) {
        let waiter = state.withLockedValue { state in
            if state.waiter == nil { state.messages.append(message) }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: message)
    }

    func close() {
        let waiter = state.withLockedValue { state in
            state.isClosed = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }

    func next() async -> WireMessage? {
        await withCheckedContinuation { continuation in
            let (message, isReady) = state.withLockedValue { state -> (WireMessage?, Bool) in
                if !state.messages.isEmpty { return (state.messages.removeFirst(), true) }
                if state.isClosed { return (nil, true) }
                state.waiter = continuation
                return (nil, false)
            }
            if isReady { continuation.resume(returning: message) }
        }
    }
}

private final class RawHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let inbox: Inbox?
    private let script: ScriptedServer.Script?
    private var responder: ScriptedServer.Responder?
    private var reader = FrameReader()
    private var data = ByteBuffer()

    init(inbox: Inbox?, script: ScriptedServer.Script? = nil) {
        self.inbox = inbox
        self.script = script
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        do {
            while try step(&bytes, context) {}
        } catch {
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        inbox?.close()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func step(_ bytes: inout ByteBuffer, _ context: ChannelHandlerContext) throws -> Bool {
        switch try reader.next(from: &bytes) {
        case .needsBytes: return false
        case .dataBegan: data = ByteBuffer()
        case .dataPiece(let piece): data.writeImmutableBuffer(piece)
        case .dataEnded(let header): received(WireMessage(header: header, message: .data(data)), context)
        case .message(let header, let payload):
            received(WireMessage(header: header, message: try Message(header.type, payload: payload)), context)
        }
        return true
    }

    private func received(_ message: WireMessage, _ context: ChannelHandlerContext) {
        if message.header.type == .hello || message.header.type == .helloAck { reader.handshakeCompleted(version: 1) }
        inbox?.append(message)
        if let script {
            let responder = responder ?? ScriptedServer.Responder(context: context)
            self.responder = responder
            script(message, responder)
        }
    }
}
