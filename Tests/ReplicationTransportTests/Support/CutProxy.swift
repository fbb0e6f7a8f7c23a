// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A TCP proxy that ends its first connection after so many bytes in one direction, and leaves later ones alone.
final class CutProxy: Sendable {
    /// Where bytes are counted.
    enum Direction: Sendable {
        case toServer
        case toClient
    }

    private struct State {
        var remaining: Int
        var hasCut = false
        var connectionCount = 0
    }

    let port: Int
    private let listener: any Channel
    private let state: NIOLockedValueBox<State>

    private init(listener: any Channel, port: Int, state: NIOLockedValueBox<State>) {
        self.listener = listener
        self.port = port
        self.state = state
    }

    /// Whether the connection was cut: whether that many bytes came.
    var hasCut: Bool { state.withLockedValue { $0.hasCut } }

    /// Runs `body` with a proxy in front of `serverPort`.
    static func run(
        serverPort: Int,
        cutAfter byteCount: Int,
        _ direction: Direction,
        body: (CutProxy) async throws -> Void
    ) async throws {
        let state = NIOLockedValueBox(State(remaining: byteCount))
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { client in
                Self.join(client, toPort: serverPort, direction, state)
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let proxy = CutProxy(listener: listener, port: listener.localAddress?.port ?? 0, state: state)
        do {
            try await body(proxy)
        } catch {
            // Closed already is as good.
            try? await listener.close()
            throw error
        }
        try await listener.close()
    }

    private static func join(
        _ client: any Channel,
        toPort port: Int,
        _ direction: Direction,
        _ state: NIOLockedValueBox<State>
    ) -> EventLoopFuture<Void> {
        let isFirst = state.withLockedValue { state in
            state.connectionCount += 1
            return state.connectionCount == 1
        }
        // Both ends on one loop, so that the handlers may touch each other's channel.
        return ClientBootstrap(group: client.eventLoop)
            .channelOption(.autoRead, value: false)
            .connect(host: "127.0.0.1", port: port)
            .flatMap { server in
                client.eventLoop.makeCompletedFuture {
                    try client.pipeline.syncOperations.addHandler(
                        Pipe(to: server, counting: isFirst && direction == .toServer ? state : nil)
                    )
                    try server.pipeline.syncOperations.addHandler(
                        Pipe(to: client, counting: isFirst && direction == .toClient ? state : nil)
                    )
                }.flatMap {
                    client.setOption(.autoRead, value: true).and(server.setOption(.autoRead, value: true)).map { _ in }
                }
            }
    }

    /// Hands bytes to the other channel, and the end of one to the other.
    private final class Pipe: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let other: any Channel
        private let state: NIOLockedValueBox<State>?

        init(to other: any Channel, counting state: NIOLockedValueBox<State>?) {
            self.other = other
            self.state = state
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            guard let state else {
                other.writeAndFlush(bytes, promise: nil)
                return
            }
            let (allowed, isCut) = state.withLockedValue { state in
                let allowed = min(state.remaining, bytes.readableBytes)
                state.remaining -= allowed
                if allowed < bytes.readableBytes { state.hasCut = true }
                return (allowed, state.hasCut)
            }
            if let slice = bytes.readSlice(length: allowed), allowed > 0 { other.writeAndFlush(slice, promise: nil) }
            guard isCut else { return }
            // After what was written.
            other.writeAndFlush(ByteBuffer()).assumeIsolated().whenComplete { [other] _ in other.close(promise: nil) }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            other.close(promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
