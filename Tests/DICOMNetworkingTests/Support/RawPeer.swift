// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

/// A connection whose bytes the test writes and reads itself.
final class RawPeer: Sendable {
    let channel: any Channel
    private let inbound: AsyncStream<ByteBuffer>
    private let decoding = NIOLockedValueBox((decoder: PDUDecoder(), rest: ByteBuffer()))

    private init(channel: any Channel, inbound: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.inbound = inbound
    }

    static func connect(port: Int) async throws -> RawPeer {
        let (inbound, continuation) = AsyncStream<ByteBuffer>.makeStream()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.pipeline.addHandler(RawHandler(continuation: continuation))
            }
            .connect(host: "127.0.0.1", port: port).get()
        return RawPeer(channel: channel, inbound: inbound)
    }

    /// Listens, and gives the first connection to `body` as the test's side of the protocol.
    static func listen(_ accepted: @escaping @Sendable (RawPeer) async throws -> Void) async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                let (inbound, continuation) = AsyncStream<ByteBuffer>.makeStream()
                // Ends with the connection that it serves, which the test's client closes.
                Task { try await accepted(RawPeer(channel: channel, inbound: inbound)) }
                return channel.pipeline.addHandler(RawHandler(continuation: continuation))
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func send(_ bytes: ByteBuffer) async throws {
        try await self.channel.writeAndFlush(bytes)
    }

    func send(_ pdu: PDU) async throws {
        var buffer = ByteBuffer()
        pdu.encode(into: &buffer)
        try await self.send(buffer)
    }

    /// Everything that arrives, decoded, until `isLast` says so or the other side closes.
    func receive(
        until isLast: (PDUDecoder.Element) -> Bool = { _ in false }
    ) async throws -> [PDUDecoder.Element] {
        var elements: [PDUDecoder.Element] = []
        while true {
            while let element = try self.nextDecoded() {
                elements.append(element)
                if isLast(element) { return elements }
            }
            var iterator = self.inbound.makeAsyncIterator()
            guard let bytes = await iterator.next() else { return elements }
            self.decoding.withLockedValue { $0.rest = bytes }
        }
    }

    private func nextDecoded() throws -> PDUDecoder.Element? {
        try self.decoding.withLockedValue { decoding in
            try decoding.decoder.next(from: &decoding.rest)
        }
    }

    /// The next whole PDU.
    func receivePDU() async throws -> PDU? {
        for element in try await self.receive(until: { if case .pdu = $0 { true } else { false } }) {
            if case .pdu(let pdu) = element { return pdu }
        }
        return nil
    }

    /// The next `count` command sets.
    func receiveCommands(_ count: Int) async throws -> [CommandSet] {
        var commands: [CommandSet] = []
        guard count > 0 else { return [] }
        var seen = 0
        let elements = try await self.receive { element in
            if case .fragment(let fragment) = element, fragment.isEnd { seen += 1 }
            return seen == count
        }
        var assembler = MessageAssembler()
        for case .fragment(let fragment) in elements {
            if case .command(let command, _) = try assembler.receive(fragment) {
                commands.append(command)
            }
        }
        return commands
    }

    /// Whether the connection ended with an A-ABORT as the last PDU.
    func expectAbort(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let last = try await self.receive(until: { if case .pdu(.abort) = $0 { true } else { false } }).last
        guard case .pdu(.abort)? = last else {
            Issue.record("no A-ABORT but \(String(describing: last))", sourceLocation: sourceLocation)
            return
        }
        try await self.channel.close()
    }

    /// Asks for an association for CT storage and verification (contexts 1 and 3).
    func associate(maximumLength: UInt32 = 16384) async throws -> AssociateAccept {
        try await self.send(.associateRequest(Self.request(maximumLength: maximumLength)))
        guard case .associateAccept(let accept)? = try await self.receivePDU() else {
            throw DIMSEError(.malformedPDU, "the association was not accepted")
        }
        return accept
    }

    static func request(maximumLength: UInt32 = 16384, calling: String = "RAW") -> AssociateRequest {
        AssociateRequest(
            calledAETitle: try? AETitle("VARVE"),
            callingAETitle: try? AETitle(calling),
            presentationContexts: [
                ProposedContext(id: 1, abstractSyntax: ctStorage, transferSyntaxes: [UIDText.explicitVRLittleEndian]),
                ProposedContext(
                    id: 3,
                    abstractSyntax: UIDText.verification,
                    transferSyntaxes: [UIDText.implicitVRLittleEndian]
                ),
            ],
            userInformation: UserInformation(maximumLength: maximumLength, implementationClassUID: "1.2.3")
        )
    }

    /// A whole message as bytes, in PDUs of the given length.
    static func message(
        _ command: CommandSet,
        dataSet: ByteBuffer? = nil,
        contextID: UInt8 = 1,
        maximumLength: UInt32 = 16384
    ) throws -> ByteBuffer {
        let fragmenter = try MessageFragmenter(peerMaximumLength: maximumLength)
        var bytes = ByteBuffer()
        fragmenter.write(command, contextID: contextID, into: &bytes)
        if var dataSet {
            while let next = fragmenter.nextFragment(from: &dataSet, contextID: contextID, isLast: true) {
                bytes.writeImmutableBuffer(next.headers)
                bytes.writeImmutableBuffer(next.data)
            }
        }
        return bytes
    }

    static func store(_ messageID: UInt16, _ dataSet: ByteBuffer) throws -> ByteBuffer {
        try Self.message(
            .storeRequest(messageID: messageID, sopClassUID: ctStorage, sopInstanceUID: "1.2.3.\(messageID)"),
            dataSet: dataSet
        )
    }
}

private final class RawHandler: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    private let continuation: AsyncStream<ByteBuffer>.Continuation

    init(continuation: AsyncStream<ByteBuffer>.Continuation) {
        self.continuation = continuation
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.continuation.yield(self.unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.continuation.finish()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
