// SPDX-License-Identifier: Apache-2.0

public import DIMSE
import NIOConcurrencyHelpers
public import NIOCore

extension DICOMAssociation {
    /// C-FIND or C-MOVE: asks, and returns the last response.
    ///
    /// Each pending response goes to `onPending`, on the association's event loop: until it returns nothing more is read, so
    /// the peer is held up. When it returns false, C-CANCEL is sent, once; responses go on until the peer has heard it.
    /// Throws `.contextNotAccepted` where the peer does not serve the SOP class.
    public func query(
        _ sopClass: QueryRetrieveSOPClass,
        identifier: ByteBuffer,
        priority: DIMSEPriority = .medium,
        destination: AETitle? = nil,
        onPending: @escaping @Sendable (QueryRetrieveResponse) -> Bool
    ) async throws(DICOMNetworkError) -> QueryRetrieveResponse {
        guard sopClass.operation != .get else {
            throw DICOMNetworkError(.usage, "C-GET needs somebody who takes the instances")
        }
        guard let context = self.contexts.context(abstractSyntax: sopClass.uid, transferSyntax: nil) else {
            throw Self.notAccepted(sopClass.uid)
        }
        let last = NIOLockedValueBox(QueryRetrieveResponse(.processingFailure))
        let response = self.channel.eventLoop.makePromise(of: CommandSet.self)
        self.enqueue(response: response) { messageID in
            OutgoingRequest(
                command: .queryRetrieveRequest(
                    sopClass,
                    messageID: messageID,
                    priority: priority,
                    destination: destination
                ),
                contextID: context.id,
                dataSet: identifier,
                onResponse: { command, identifier in
                    let response = QueryRetrieveResponse(command, identifier)
                    guard response.status.isPending else {
                        last.withLockedValue { $0 = response }
                        return true
                    }
                    return onPending(response)
                }
            )
        }
        _ = try await Self.value(of: response.futureResult)
        return last.withLockedValue { $0 }
    }
}

extension QueryRetrieveResponse {
    /// Reads a response; without a status it is a failure.
    init(_ command: CommandSet, _ identifier: ByteBuffer?) {
        self.init(
            command.status ?? .processingFailure,
            errorComment: command.errorComment,
            offendingElements: command.tags(.offendingElement),
            counts: command.suboperationCounts,
            identifier: identifier
        )
    }
}
