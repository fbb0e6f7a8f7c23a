// SPDX-License-Identifier: Apache-2.0

package import Catalog
import NIOConcurrencyHelpers
package import NIOCore
import NIOHTTP1
import NIOPosix

/// Fetches samples.
package protocol WatchFetching: Sendable {
    /// Whether there is somewhere to fetch from yet.
    var isReady: Bool { get }

    /// Fetches an instance and compares it; cancellation ends it soon.
    func fetch(_ instance: WatchedInstance) async -> WatchAnswer
}

/// Fetches samples as any client does: WADO-RS over a connection of its own, in the transfer syntax in which they arrived.
///
/// What comes goes through a digest on the connection's event loop, and is not kept.
package final class WatchClient: WatchFetching {
    /// What it calls itself.
    static let userAgent = "varve-watch"
    private static let connectTime = TimeAmount.seconds(5)
    /// Without a byte.
    private static let silence = TimeAmount.seconds(60)
    /// For all of it.
    package static let totalTime = TimeAmount.seconds(600)

    private let group: any EventLoopGroup
    /// Where the configuration wants samples fetched from; empty: from this ingest node itself.
    private let servers: [WatchServer]
    private let own = NIOLockedValueBox<WatchServer?>(nil)

    package init(group: any EventLoopGroup, servers: [WatchServer] = []) {
        self.group = group
        self.servers = servers
    }

    /// This ingest node takes requests there.
    package func listens(at server: WatchServer) {
        own.withLockedValue { $0 = server }
    }

    package var isReady: Bool { server() != nil }

    private func server() -> WatchServer? { servers.randomElement() ?? own.withLockedValue { $0 } }

    package func fetch(_ instance: WatchedInstance) async -> WatchAnswer {
        guard let server = server() else { return .unreachable("the HTTP port is not open yet") }
        guard let expected = WatchedContent.Expected(instance) else { return .unjudged("it has no digest to compare") }
        let uids = [instance.studyInstanceUID, instance.seriesInstanceUID, instance.sopInstanceUID]
        guard uids.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E } }) else {
            return .unjudged("its UIDs are not digits and dots")
        }
        var head = HTTPRequestHead(
            version: .http1_1,
            method: .GET,
            uri: "\(DICOMWebService.path)/studies/\(uids[0])/series/\(uids[1])/instances/\(uids[2])"
        )
        head.headers = [
            "Host": server.authority,
            "Accept": "application/dicom; transfer-syntax=\(expected.transferSyntax)",
            "User-Agent": Self.userAgent,
            "Connection": "close",
        ]
        do {
            return try await reply(to: head, WatchedContent(expected), from: server).answer
        } catch {
            return .unreachable("\(server): \(error)")
        }
    }

    private func reply(
        to head: HTTPRequestHead,
        _ content: WatchedContent,
        from server: WatchServer
    ) async throws -> WatchReply {
        let loop = group.next()
        let promise = loop.makePromise(of: WatchReply.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: loop)
                .connectTimeout(Self.connectTime)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHTTPClientHandlers()
                        try pipeline.addHandler(IdleStateHandler(readTimeout: Self.silence))
                        try pipeline.addHandler(WatchReplyHandler(head, content, promise))
                    }
                }
                .connect(host: server.host, port: server.port).get()
        } catch {
            promise.fail(error)
            throw error
        }
        let alarm = loop.scheduleTask(in: Self.totalTime) { channel.close(promise: nil) }
        defer { alarm.cancel() }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }
}

/// What came.
struct WatchReply: Sendable {
    var status: Int
    var byteCount = 0
    /// Of an answer other than 200, its beginning.
    var text = ByteBuffer()
    /// Of 200, whether it is what was accepted; nil when that cannot be told.
    var isSame: Bool?

    var answer: WatchAnswer {
        let words = String(buffer: text).split(whereSeparator: \.isNewline).joined(separator: " ")
        let said = "answered \(status): \(words)"
        switch status {
        case 200:
            guard let isSame else { return .unjudged("its header is too long") }
            return isSame ? .same : .different("\(byteCount) bytes came, whose digest is another")
        case 404, 410: return .missing(said)
        case 406, 500: return .unreadable(said)
        default: return .unreachable(said)
        }
    }
}

/// Sends one request and digests its response; on its connection's event loop.
private final class WatchReplyHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private static let textByteCount = 500

    private let request: HTTPRequestHead
    private var content: WatchedContent
    private let promise: EventLoopPromise<WatchReply>
    private var reply: WatchReply?
    private var failure: any Error = WatchBrokenOff()

    init(_ request: HTTPRequestHead, _ content: WatchedContent, _ promise: EventLoopPromise<WatchReply>) {
        self.request = request
        self.content = content
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(request)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): reply = WatchReply(status: Int(head.status.code))
        case .body(var bytes):
            reply?.byteCount += bytes.readableBytes
            if reply?.status == 200 {
                content.add(bytes)
            } else if let part = bytes.readSlice(
                length: min(bytes.readableBytes, Self.textByteCount - (reply?.text.readableBytes ?? Self.textByteCount))
            ) {
                reply?.text.writeImmutableBuffer(part)
            }
        case .end:
            guard var reply else { break }
            if reply.status == 200 { reply.isSame = content.finish() }
            promise.succeed(reply)
            context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            failure = WatchBrokenOff()
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        // Nothing happens where the answer was whole.
        promise.fail(failure)
        context.fireChannelInactive()
    }
}

/// The connection ended, or nothing more came.
private struct WatchBrokenOff: Error, CustomStringConvertible {
    var description: String { "the answer did not come to its end" }
}
