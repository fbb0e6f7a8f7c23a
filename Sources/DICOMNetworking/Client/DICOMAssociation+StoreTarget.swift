// SPDX-License-Identifier: Apache-2.0

public import DIMSE
public import NIOCore

extension DICOMAssociation: StoreTarget {
    public var eventLoop: any EventLoop { self.channel.eventLoop }

    public var storeContexts: [NegotiatedContexts.Context] { self.contexts.accepted }

    public func store(
        _ store: OutgoingStore,
        writing body: (_ write: ([ByteBuffer]) async throws -> Void) async throws -> Void
    ) async throws(DICOMNetworkError) -> StoreResponse {
        let response = self.channel.eventLoop.makePromise(of: CommandSet.self)
        let started = self.channel.eventLoop.makePromise(of: Void.self)
        self.enqueue(response: response) { messageID in
            OutgoingRequest(
                command: store.command(messageID: messageID),
                contextID: store.contextID,
                started: started
            )
        }
        do {
            try await Self.value(of: started.futureResult)
            try await body { pieces in
                for piece in pieces { try await self.send(piece, isLast: false) }
            }
            // What was held back of the last piece.
            try await self.send(ByteBuffer(), isLast: true)
        } catch {
            // Where the association failed, this finds it gone; where the data set did, the half message must not stay.
            await self.abort()
            if let error = error as? DICOMNetworkError { throw error }
            throw DICOMNetworkError(
                .aborted,
                "the data set could not be read while it was sent",
                cause: error
            )
        }
        let command = try await Self.value(of: response.futureResult)
        return StoreResponse(command.status ?? .processingFailure, errorComment: command.errorComment)
    }

    public func store(
        _ store: OutgoingStore,
        dataSet pieces: [ByteBuffer]
    ) async throws(DICOMNetworkError) -> StoreResponse {
        guard pieces.count == 1, pieces[0].readableBytes > 0 else {
            return try await self.store(store) { write in try await write(pieces) }
        }
        let response = try await self.perform { messageID in
            OutgoingRequest(
                command: store.command(messageID: messageID),
                contextID: store.contextID,
                dataSet: pieces[0]
            )
        }
        return StoreResponse(response.status ?? .processingFailure, errorComment: response.errorComment)
    }
}
