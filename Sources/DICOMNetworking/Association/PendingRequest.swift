// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore

/// A received request that waits for its turn, or an answer that waits for those before it.
///
/// The data set of a store may still be arriving.
enum PendingRequest {
    case echo(CommandSet, contextID: UInt8)
    case store(StoreRequest, CommandSet, ReceivedDataSet, DataSetReception)
    /// C-FIND, C-GET, C-MOVE.
    case query(RequestExchange)
    /// N-ACTION.
    case action(ActionRequest, CommandSet)
    /// An answer that needs no service.
    case answer(CommandSet, contextID: UInt8)
}

/// The association of a connection, once it is established.
struct EstablishedAssociation {
    let context: AssociationContext
    let fragmenter: MessageFragmenter
    /// Of the last data set received: what the next one may need.
    var lastDataSetByteCount = 0

    var contexts: NegotiatedContexts { self.context.presentationContexts }
}

/// What is done with the data set that is being received.
enum Reception {
    case none
    case store(DataSetReception)
    case identifier(IdentifierReception)
    /// Nobody wants the data set; the answer, if any, is given at its end.
    case discard(answer: CommandSet?, contextID: UInt8)
}

/// The identifier of a C-FIND, C-GET or C-MOVE, or the information of an N-ACTION, while it arrives.
///
/// Lives on the connection's event loop.
final class IdentifierReception {
    enum Request {
        case query(QueryRetrieveRequest)
        case action(ActionRequest)
    }

    let request: Request
    let command: CommandSet
    let contextID: UInt8
    var bytes = ByteBuffer()

    init(_ request: QueryRetrieveRequest, command: CommandSet) {
        self.request = .query(request)
        self.command = command
        self.contextID = request.presentationContextID
    }

    init(_ request: ActionRequest, command: CommandSet) {
        self.request = .action(request)
        self.command = command
        self.contextID = request.presentationContextID
    }
}
