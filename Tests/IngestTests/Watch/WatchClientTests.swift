// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import Ingest
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@Suite struct WatchClientTests {
    /// Answers one request on each connection with fixed bytes, and closes it; keeps what it was asked.
    private final class Server: Sendable {
        let requests = NIOLockedValueBox<[String]>([])
        let connected: EventLoopPromise<Void>

        init() { connected = MultiThreadedEventLoopGroup.singleton.next().makePromise() }

        /// Runs `body` with a client of a server that says `answer`; without one it says nothing and stays.
        static func with(answer: String?, _ body: (WatchClient, Server) async throws -> Void) async throws {
            let group = MultiThreadedEventLoopGroup.singleton
            let server = Server()
            let channel = try await ServerBootstrap(group: group)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Talker(server, answer))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let client = WatchClient(group: group)
            #expect(!client.isReady)
            client.listens(at: WatchServer(host: "127.0.0.1", port: try #require(channel.localAddress?.port)))
            #expect(client.isReady)
            try await body(client, server)
            server.connected.succeed()
            try await channel.close()
        }
    }

    private final class Talker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let server: Server
        private let answer: String?
        private var text = ""

        init(_ server: Server, _ answer: String?) { (self.server, self.answer) = (server, answer) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            guard text.hasSuffix("\r\n\r\n") else { return }
            server.requests.withLockedValue { $0.append(text) }
            text = ""
            server.connected.succeed()
            guard let answer else { return }
            let channel = context.channel
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)))
                .whenComplete { _ in channel.close(promise: nil) }
        }
    }

    private static let body = "the very bytes"

    private static func instance() throws -> WatchedInstance {
        try .sample(digest: SHA256Hasher.digest(of: ByteBuffer(string: body)))
    }

    private static func answer(_ text: String) async throws -> WatchAnswer {
        let found = NIOLockedValueBox<WatchAnswer?>(nil)
        try await Server.with(answer: text) { client, _ in
            let answer = await client.fetch(try instance())
            found.withLockedValue { $0 = answer }
        }
        return try #require(found.withLockedValue { $0 })
    }

    private static func ok(_ body: String, count: Int? = nil) -> String {
        "HTTP/1.1 200 OK\r\nContent-Length: \(count ?? body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `the instance is asked for as any client does, and compared`() async throws {
        try await Server.with(answer: Self.ok(Self.body)) { client, server in
            let answer = await client.fetch(try Self.instance())
            #expect(answer == .same)
            let request = try #require(server.requests.withLockedValue { $0.first })
            #expect(
                request.hasPrefix("GET /dicom-web/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1 HTTP/1.1\r\n")
            )
            #expect(request.contains("Accept: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n"))
            #expect(request.contains("Host: 127.0.0.1:"))
        }
    }

    @Test func `a body in chunks is put together`() async throws {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nthe very\r\n6\r\n bytes\r\n0\r\n\r\n"
        #expect(try await Self.answer(chunked) == .same)
    }

    @Test func `other bytes are another thing than a broken answer`() async throws {
        #expect(try await Self.answer(Self.ok("the very bites")).name == "different")
        #expect(try await Self.answer(Self.ok("")).name == "different")
        #expect(try await Self.answer(Self.ok(Self.body, count: 100)).name == "unreachable")
        let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nthe"
        #expect(try await Self.answer(cut).name == "unreachable")
        #expect(try await Self.answer("").name == "unreachable")
        #expect(try await Self.answer("SSH-2.0-OpenSSH_9.2\r\n").name == "unreachable")
    }

    @Test(
        arguments: [
            (404, "missing"), (410, "missing"), (500, "unreadable"), (406, "unreadable"), (503, "unreachable"),
            (403, "unreachable"), (302, "unreachable"),
        ]
    )
    func `a refusal says what it is, and why`(status: Int, name: String) async throws {
        let text = String(repeating: "why not? ", count: 1_000)
        let answer = try await Self.answer(
            "HTTP/1.1 \(status) No\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
        )
        #expect(answer.name == name)
        #expect(answer.note.hasPrefix("answered \(status): why not? why not?") && answer.note.count < 600)
    }

    @Test func `where nobody listens it is not reached`() async throws {
        let closed = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(closed.localAddress?.port)
        try await closed.close()
        let client = WatchClient(
            group: MultiThreadedEventLoopGroup.singleton,
            servers: [WatchServer(host: "127.0.0.1", port: port)]
        )
        let answer = await client.fetch(try Self.instance())
        #expect(answer.name == "unreachable" && answer.note.contains("127.0.0.1:\(port)"))
    }

    @Test func `a fetch that nobody wants any more ends, though nothing comes`() async throws {
        try await Server.with(answer: nil) { client, server in
            let instance = try Self.instance()
            let fetch = Task { await client.fetch(instance) }
            try await server.connected.futureResult.get()
            fetch.cancel()
            #expect(await fetch.value.name == "unreachable")
        }
    }
}
