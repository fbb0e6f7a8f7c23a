// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

/// Asks an ingest node on this machine whether it is ready (`GET /readyz`).
///
/// By a socket and nothing else: `URLSession` was seen to spin for minutes on a server that does not answer, past its
/// timeout.
enum ReadinessProbe {
    /// What it says: nil when it is ready, otherwise why not.
    ///
    /// Takes two seconds at most.
    static func reasonNotReady(port: Int) async -> String? {
        let group = MultiThreadedEventLoopGroup.singleton
        let answer = group.next().makePromise(of: String.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: answer.futureResult.eventLoop)
                .connectTimeout(.seconds(2))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Answer(answer))
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
        } catch {
            answer.fail(error)
            return "\(error)"
        }
        let alarm = channel.eventLoop.scheduleTask(in: .seconds(2)) { channel.close(promise: nil) }
        let request = "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n\r\n"
        channel.writeAndFlush(ByteBuffer(string: request), promise: nil)
        // Never fails: what was received by the end of the connection is the answer.
        let text = (try? await answer.futureResult.get()) ?? ""
        alarm.cancel()
        return reason(in: text)
    }

    /// Reads a response that is complete when its connection ends.
    private static func reason(in response: String) -> String? {
        let status = response.split(separator: " ", maxSplits: 2).dropFirst().first
        if status == "200" { return nil }
        // Swift takes "\r\n" for one character.
        let lines = response.split(separator: "\r\n", omittingEmptySubsequences: false)
        let body = lines.drop { !$0.isEmpty }.joined(separator: " ").split(whereSeparator: \.isWhitespace)
        return body.isEmpty ? "no answer" : body.joined(separator: " ")
    }

    /// Gathers all that comes.
    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let promise: EventLoopPromise<String>
        private var text = ByteBuffer()

        init(_ promise: EventLoopPromise<String>) { self.promise = promise }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var piece = unwrapInboundIn(data)
            text.writeBuffer(&piece)
            // It says no more than a line.
            if text.readableBytes > 64 << 10 { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.succeed(String(buffer: text))
            context.fireChannelInactive()
        }
    }
}
