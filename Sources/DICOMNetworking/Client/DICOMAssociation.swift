// SPDX-License-Identifier: Apache-2.0

public import DIMSE
public import NIOCore

/// An association this side asked for.
///
/// May be used from any task. Operations run one after the other (asynchronous window 1/1), in the order they were
/// asked for. After an error other than `.contextNotAccepted` or `.usage` the association is gone.
public final class DICOMAssociation: Sendable {
    /// What both sides agreed on.
    public let contexts: NegotiatedContexts
    /// The peer's maximum PDU length, implementation, roles.
    public let peerInformation: UserInformation
    let channel: any Channel
    let handler: NIOLoopBound<AssociationClientHandler>

    init(_ established: AssociationClientHandler.Established) {
        self.contexts = established.contexts
        self.peerInformation = established.peerInformation
        self.channel = established.channel
        self.handler = established.handler
    }

    /// C-ECHO.
    public func echo() async throws(DICOMNetworkError) -> DIMSEStatus {
        guard let context = self.contexts.context(abstractSyntax: UIDText.verification, transferSyntax: nil) else {
            throw Self.notAccepted(UIDText.verification)
        }
        let response = try await self.perform { messageID in
            OutgoingRequest(command: .echoRequest(messageID: messageID), contextID: context.id)
        }
        return response.status ?? .processingFailure
    }

    /// C-STORE of a data set in memory (without file meta information).
    ///
    /// It is sent without being copied.
    public func store(
        _ dataSet: ByteBuffer,
        sopClassUID: String,
        sopInstanceUID: String,
        transferSyntax: String,
        priority: DIMSEPriority = .medium
    ) async throws(DICOMNetworkError) -> StoreResponse {
        guard dataSet.readableBytes > 0 else {
            throw DICOMNetworkError(.usage, "an empty data set cannot be sent")
        }
        guard let context = self.contexts.context(abstractSyntax: sopClassUID, transferSyntax: transferSyntax) else {
            throw Self.notAccepted(sopClassUID)
        }
        let response = try await self.perform { messageID in
            OutgoingRequest(
                command: .storeRequest(
                    messageID: messageID,
                    sopClassUID: sopClassUID,
                    sopInstanceUID: sopInstanceUID,
                    priority: priority
                ),
                contextID: context.id,
                dataSet: dataSet
            )
        }
        return StoreResponse(response.status ?? .processingFailure, errorComment: response.errorComment)
    }

    /// C-STORE of a data set that is read piece by piece: `nextPiece` is called when there is room to send,
    /// until it returns nil.
    ///
    /// When it throws, the association is aborted: a half message cannot be taken back.
    public func store(
        sopClassUID: String,
        sopInstanceUID: String,
        transferSyntax: String,
        priority: DIMSEPriority = .medium,
        nextPiece: () async throws -> ByteBuffer?
    ) async throws(DICOMNetworkError) -> StoreResponse {
        guard let context = self.contexts.context(abstractSyntax: sopClassUID, transferSyntax: transferSyntax) else {
            throw Self.notAccepted(sopClassUID)
        }
        // One piece ahead, so that the last one is known when it is sent.
        guard var current = try await Self.read(nextPiece) else {
            throw DICOMNetworkError(.usage, "an empty data set cannot be sent")
        }
        let eventLoop = self.channel.eventLoop
        let response = eventLoop.makePromise(of: CommandSet.self)
        let started = eventLoop.makePromise(of: Void.self)
        self.enqueue(response: response) { messageID in
            OutgoingRequest(
                command: .storeRequest(
                    messageID: messageID,
                    sopClassUID: sopClassUID,
                    sopInstanceUID: sopInstanceUID,
                    priority: priority
                ),
                contextID: context.id,
                started: started
            )
        }
        do {
            try await Self.value(of: started.futureResult)
            while let next = try await Self.read(nextPiece) {
                try await self.send(current, isLast: false)
                current = next
            }
            try await self.send(current, isLast: true)
        } catch {
            // Where the association failed, this finds it gone; where the data set did, the half message must not stay.
            await self.abort()
            throw error
        }
        let command = try await Self.value(of: response.futureResult)
        return StoreResponse(command.status ?? .processingFailure, errorComment: command.errorComment)
    }

    func send(_ piece: ByteBuffer, isLast: Bool) async throws(DICOMNetworkError) {
        let handler = self.handler
        let sent = self.channel.eventLoop.makePromise(of: Void.self)
        self.channel.eventLoop.execute { handler.value.sendPiece(piece, isLast: isLast, promise: sent) }
        try await Self.value(of: sent.futureResult)
    }

    /// Ends the association in order, after the operations asked for before.
    ///
    /// Returns when the connection is closed.
    public func release() async throws(DICOMNetworkError) {
        let handler = self.handler
        let released = self.channel.eventLoop.makePromise(of: Void.self)
        self.channel.eventLoop.execute { handler.value.release(released) }
        try await Self.value(of: released.futureResult)
    }

    /// Ends the association at once.
    ///
    /// Operations under way fail.
    public func abort() async {
        let handler = self.handler
        // Losing the error is right: it says that the event loop is gone, and the connection with it.
        try? await self.channel.eventLoop.submit { handler.value.abort() }.get()
    }

    private static func read(
        _ nextPiece: () async throws -> ByteBuffer?
    ) async throws(DICOMNetworkError) -> ByteBuffer? {
        do {
            return try await nextPiece()
        } catch {
            throw DICOMNetworkError(.aborted, "the data set could not be read while it was sent", cause: error)
        }
    }

    func perform(
        _ request: @escaping @Sendable (UInt16) -> OutgoingRequest
    ) async throws(DICOMNetworkError) -> CommandSet {
        let response = self.channel.eventLoop.makePromise(of: CommandSet.self)
        self.enqueue(response: response, request)
        return try await Self.value(of: response.futureResult)
    }

    func enqueue(
        response: EventLoopPromise<CommandSet>,
        _ request: @escaping @Sendable (UInt16) -> OutgoingRequest
    ) {
        let handler = self.handler
        self.channel.eventLoop.execute { handler.value.enqueue(request, response: response) }
    }

    static func value<T: Sendable>(of future: EventLoopFuture<T>) async throws(DICOMNetworkError) -> T {
        do {
            return try await future.get()
        } catch let error as DICOMNetworkError {
            throw error
        } catch {
            throw DICOMNetworkError(.closed, "the connection failed", cause: error)
        }
    }

    @inline(never)
    static func notAccepted(_ sopClassUID: String) -> DICOMNetworkError {
        DICOMNetworkError(
            .contextNotAccepted,
            "the peer accepted no presentation context for SOP class \(sopClassUID) in this transfer syntax"
        )
    }
}
