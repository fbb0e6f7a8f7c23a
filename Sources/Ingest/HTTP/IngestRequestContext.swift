// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import NIOCore

/// What the HTTP server of an ingest node knows of a request beside the request itself: where it comes from.
struct IngestRequestContext: RequestContext, RemoteAddressRequestContext {
    var coreContext: CoreRequestContextStorage
    /// The address at the other end of the connection: the client's, or a proxy's.
    let remoteAddress: SocketAddress?
    /// The connection's.
    let eventLoop: any EventLoop

    init(source: ApplicationRequestContextSource) {
        self.coreContext = CoreRequestContextStorage(source: source)
        self.remoteAddress = source.channel.remoteAddress
        self.eventLoop = source.channel.eventLoop
    }
}

extension RequestContext {
    /// The connection's event loop, where the context knows it.
    var connectionEventLoop: (any EventLoop)? { (self as? IngestRequestContext)?.eventLoop }

    /// The client's address in words, for the audit.
    var clientName: String {
        (self as? any RemoteAddressRequestContext)?.remoteAddress?.ipAddress ?? "an unknown address"
    }
}
