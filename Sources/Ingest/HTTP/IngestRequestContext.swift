// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import NIOCore

/// What the HTTP server of an ingest node knows of a request beside the request itself: where it comes from.
struct IngestRequestContext: RequestContext, RemoteAddressRequestContext {
    var coreContext: CoreRequestContextStorage
    /// The address at the other end of the connection: the client's, or a proxy's.
    let remoteAddress: SocketAddress?

    init(source: ApplicationRequestContextSource) {
        self.coreContext = CoreRequestContextStorage(source: source)
        self.remoteAddress = source.channel.remoteAddress
    }
}

extension RequestContext {
    /// The client's address in words, for the audit.
    var clientName: String {
        (self as? any RemoteAddressRequestContext)?.remoteAddress?.ipAddress ?? "an unknown address"
    }
}
