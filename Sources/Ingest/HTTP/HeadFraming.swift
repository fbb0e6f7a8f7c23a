// SPDX-License-Identifier: Apache-2.0

import HummingbirdCore
import NIOCore
import NIOHTTP1

/// Keeps what ends a chunked body off the connection after a response to HEAD.
///
/// Such a response says how the body of GET would be framed, and has none (RFC 9112 §6.3, rule 1). Where the length is not
/// known that is `Transfer-Encoding: chunked`, and SwiftNIO's encoder, which does not know the request, would write the
/// chunk of zero bytes all the same: the client would take it for the beginning of its next response. One for each
/// connection, on its event loop.
final class HeadFraming: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Of the requests without a whole response yet, in order: whether they are HEAD.
    private var requests = CircularBuffer<Bool>()

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = Self.unwrapInboundIn(data) { requests.append(head.method == .HEAD) }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // What ends the answer to something that was no request has none to take off.
        guard case .end = Self.unwrapOutboundIn(data), requests.popFirst() == true else {
            context.write(data, promise: promise)
            return
        }
        promise?.succeed()
    }

    /// Puts a `HeadFraming` next to the codec of a connection, where responses are NIO's yet; passes everything on.
    final class Installer: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = NIOAny

        func handlerAdded(context: ChannelHandlerContext) {
            let pipeline = context.pipeline.syncOperations
            do {
                let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
                try pipeline.addHandler(HeadFraming(), position: .after(decoder))
            } catch {
                // Not a connection that can be answered rightly.
                context.close(promise: nil)
            }
        }
    }
}

extension HTTPServerBuilder {
    /// HTTP/1.1 with responses to HEAD that end where they should.
    static var http1FramingHeads: HTTPServerBuilder {
        .http1(configuration: HTTP1Channel.Configuration(additionalChannelHandlers: [HeadFraming.Installer()]))
    }
}
