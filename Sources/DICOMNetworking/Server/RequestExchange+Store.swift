// SPDX-License-Identifier: Apache-2.0

import DIMSE
public import NIOCore

/// Sub-operations of a C-GET: C-STORE requests over the association that it came by (PS3.7 section 9.1.3).
extension RequestExchange: StoreTarget {
    public func store(
        _ store: OutgoingStore,
        writing body: (_ write: ([ByteBuffer]) async throws -> Void) async throws -> Void
    ) async throws(DICOMNetworkError) -> StoreResponse {
        let response = self.eventLoop.makePromise(of: CommandSet.self)
        self.onHandler { handler, context in
            handler.beginStore(store, of: self, response: response, context: context)
        }
        do {
            try await body { pieces in try await self.send(pieces, isLast: false) }
            try await self.send([], isLast: true)
        } catch {
            self.onHandler { handler, context in handler.abortStore(of: self, context: context) }
            // Losing what it says is right: it is the same failure, or that of the abort.
            _ = try? await response.futureResult.get()
            if let error = error as? DICOMNetworkError { throw error }
            throw DICOMNetworkError(
                .aborted,
                "the data set could not be read while it was sent",
                cause: error
            )
        }
        let command = try await DICOMAssociation.value(of: response.futureResult)
        return StoreResponse(command.status ?? .processingFailure, errorComment: command.errorComment)
    }

    public func store(
        _ store: OutgoingStore,
        dataSet pieces: [ByteBuffer]
    ) async throws(DICOMNetworkError) -> StoreResponse {
        let response = self.eventLoop.makePromise(of: CommandSet.self)
        // The peer's answer says that it was written, too.
        let sent = self.eventLoop.makePromise(of: Void.self)
        self.onHandler { handler, context in
            handler.beginStore(store, of: self, response: response, context: context)
            handler.sendPieces(pieces, isLast: true, of: self, promise: sent, context: context)
        }
        let command = try await DICOMAssociation.value(of: response.futureResult)
        return StoreResponse(command.status ?? .processingFailure, errorComment: command.errorComment)
    }

    private func send(_ pieces: [ByteBuffer], isLast: Bool) async throws(DICOMNetworkError) {
        let sent = self.eventLoop.makePromise(of: Void.self)
        self.onHandler { handler, context in
            handler.sendPieces(pieces, isLast: isLast, of: self, promise: sent, context: context)
        }
        try await DICOMAssociation.value(of: sent.futureResult)
    }
}
