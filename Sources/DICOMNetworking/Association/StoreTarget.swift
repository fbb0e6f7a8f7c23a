// SPDX-License-Identifier: Apache-2.0

public import DIMSE
public import NIOCore

/// A C-STORE that this side asks for.
public struct OutgoingStore: Sendable {
    public var sopClassUID: String
    public var sopInstanceUID: String
    /// The presentation context, whose transfer syntax the data set is in.
    public var contextID: UInt8
    public var priority: DIMSEPriority
    /// Of the C-MOVE that it is a sub-operation of.
    public var moveOriginator: (aeTitle: AETitle, messageID: UInt16)?

    public init(
        sopClassUID: String,
        sopInstanceUID: String,
        contextID: UInt8,
        priority: DIMSEPriority = .medium,
        moveOriginator: (aeTitle: AETitle, messageID: UInt16)? = nil
    ) {
        self.sopClassUID = sopClassUID
        self.sopInstanceUID = sopInstanceUID
        self.contextID = contextID
        self.priority = priority
        self.moveOriginator = moveOriginator
    }

    func command(messageID: UInt16) -> CommandSet {
        .storeRequest(
            messageID: messageID,
            sopClassUID: self.sopClassUID,
            sopInstanceUID: self.sopInstanceUID,
            priority: self.priority,
            moveOriginator: self.moveOriginator
        )
    }
}

/// A peer that takes instances: the requestor of a C-GET over its own association, or the acceptor of one that this side
/// asked for.
public protocol StoreTarget: Sendable {
    /// Presentation contexts in which the peer is SCP of storage.
    var storeContexts: [NegotiatedContexts.Context] { get }
    /// The event loop of the association.
    var eventLoop: any EventLoop { get }

    /// Sends an instance, whose data set `body` writes, and returns the peer's answer.
    ///
    /// When `body` throws, the association is aborted: a half message cannot be taken back.
    func store(
        _ store: OutgoingStore,
        writing body: (_ write: ([ByteBuffer]) async throws -> Void) async throws -> Void
    ) async throws(DICOMNetworkError) -> StoreResponse

    /// Sends an instance whose data set is in memory, and returns the peer's answer.
    func store(_ store: OutgoingStore, dataSet pieces: [ByteBuffer]) async throws(DICOMNetworkError) -> StoreResponse
}
