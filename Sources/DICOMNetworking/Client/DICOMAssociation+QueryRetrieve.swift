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
            throw DICOMNetworkError(.usage, "C-GET needs somebody who takes the instances: get(_:identifier:)")
        }
        let last = NIOLockedValueBox(QueryRetrieveResponse(.processingFailure))
        let response = try self.ask(
            sopClass,
            identifier: identifier,
            priority: priority,
            destination: destination,
            last: last,
            onPending: onPending
        )
        _ = try await Self.value(of: response)
        return last.withLockedValue { $0 }
    }

    /// C-GET: asks, gives `take` each instance that the peer sends, one after the other, and returns the last response.
    ///
    /// `take` answers the peer; what it has not read of the data set is passed over. While it works nothing is read beyond
    /// a few mebibytes, so the peer is held up. The association needs presentation contexts for the storage SOP classes, and
    /// the SCP role for them (PS3.4 section C.5.3). `onPending` as in ``query(_:identifier:priority:destination:onPending:)``.
    ///
    /// Throws `.contextNotAccepted` where the peer does not serve the SOP class.
    public func get(
        _ sopClass: QueryRetrieveSOPClass,
        identifier: ByteBuffer,
        priority: DIMSEPriority = .medium,
        onPending: @escaping @Sendable (QueryRetrieveResponse) -> Bool = { _ in true },
        take: (IncomingStore) async -> StoreResponse
    ) async throws(DICOMNetworkError) -> QueryRetrieveResponse {
        guard sopClass.operation == .get else {
            throw DICOMNetworkError(.usage, "only C-GET brings instances over its own association")
        }
        let intake = StoreIntake(resume: { [handler = self.handler, eventLoop = self.channel.eventLoop] in
            eventLoop.execute { handler.value.resumeReading() }
        })
        let last = NIOLockedValueBox(QueryRetrieveResponse(.processingFailure))
        let response = try self.ask(
            sopClass,
            identifier: identifier,
            priority: priority,
            intake: intake,
            last: last,
            onPending: onPending
        )
        response.whenComplete { result in
            intake.end(
                result.map { _ in }.mapError { error in
                    error as? DICOMNetworkError ?? DICOMNetworkError(.closed, "the connection failed", cause: error)
                }
            )
        }
        while let store = try await intake.nextStore() {
            let answer = store.isOfItsContext ? await take(store) : StoreResponse(.sopClassNotSupported)
            try await intake.passOver()
            let command = store.command.response(status: answer.status, errorComment: answer.errorComment)
            self.channel.eventLoop.execute { [handler = self.handler] in
                handler.value.answer(command, contextID: store.contextID)
            }
        }
        return last.withLockedValue { $0 }
    }

    /// Sends a request; the future is that of the last response, which goes to `last`, too.
    private func ask(
        _ sopClass: QueryRetrieveSOPClass,
        identifier: ByteBuffer,
        priority: DIMSEPriority,
        destination: AETitle? = nil,
        intake: StoreIntake? = nil,
        last: NIOLockedValueBox<QueryRetrieveResponse>,
        onPending: @escaping @Sendable (QueryRetrieveResponse) -> Bool
    ) throws(DICOMNetworkError) -> EventLoopFuture<CommandSet> {
        guard let context = self.contexts.context(abstractSyntax: sopClass.uid, transferSyntax: nil) else {
            throw Self.notAccepted(sopClass.uid)
        }
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
                },
                intake: intake
            )
        }
        return response.futureResult
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
