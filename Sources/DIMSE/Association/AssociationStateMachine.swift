// SPDX-License-Identifier: Apache-2.0

/// The upper layer protocol machine of PS3.8 section 9.2.
///
/// Owned by one connection. An event goes in, an action comes out; the owner carries out the
/// action's effects: sends PDUs, runs the ARTIM timer, closes the transport, tells the service.
/// The machine itself touches no clock and no socket. Names in comments (Sta6, Evt10, AA-8) are the
/// standard's.
public struct AssociationStateMachine: Sendable {
    /// Who asked for the association.
    public enum Role: Sendable, Hashable {
        case requestor
        case acceptor
    }

    /// Table 9-1 to 9-5.
    ///
    /// The raw value is the number after "Sta".
    public enum State: UInt8, Sendable, Hashable, CaseIterable {
        case idle = 1
        case awaitingAssociateRequest = 2
        case awaitingLocalAssociateResponse = 3
        case awaitingTransportOpening = 4
        case awaitingAssociateResponse = 5
        case established = 6
        case awaitingReleaseResponse = 7
        case awaitingLocalReleaseResponse = 8
        case collisionRequestorAwaitingLocalResponse = 9
        case collisionAcceptorAwaitingReleaseResponse = 10
        case collisionRequestorAwaitingReleaseResponse = 11
        case collisionAcceptorAwaitingLocalResponse = 12
        case awaitingTransportClose = 13
    }

    /// The rows of table 9-10.
    ///
    /// The raw value is the number after "Evt".
    public enum Event: UInt8, Sendable, Hashable, CaseIterable {
        case associateRequested = 1
        case transportConnected = 2
        case associateAcceptReceived = 3
        case associateRejectReceived = 4
        case transportAccepted = 5
        case associateRequestReceived = 6
        case associateAccepted = 7
        case associateRejected = 8
        case dataRequested = 9
        case dataReceived = 10
        case releaseRequested = 11
        case releaseRequestReceived = 12
        case releaseResponseReceived = 13
        case releaseResponded = 14
        case abortRequested = 15
        case abortReceived = 16
        case transportClosed = 17
        case artimExpired = 18
        case invalidPDUReceived = 19
    }

    public let role: Role
    public private(set) var state = State.idle

    public init(role: Role) {
        self.role = role
    }

    /// Applies an event.
    ///
    /// Nil means that the standard defines nothing for it here: an event of our own at the wrong time, or a
    /// timer that fired too late. Nothing has changed then.
    ///
    /// For `associateRequestReceived`, `isAcceptable` says whether the service provider can accept the request
    /// (AE-6): its protocol version, and room for another association.
    public mutating func handle(_ event: Event, isAcceptable: Bool = true) -> Action? {
        guard let action = Self.action(for: event, in: self.state, isAcceptable: isAcceptable) else { return nil }
        self.state = action.nextState(role: self.role)
        return action
    }
}

extension AssociationStateMachine {
    /// Table 9-10, row by row.
    private static func action(for event: Event, in state: State, isAcceptable: Bool) -> Action? {
        switch event {
        case .associateRequested:
            return state == .idle ? .connectTransport : nil
        case .transportConnected:
            return state == .awaitingTransportOpening ? .sendAssociateRequest : nil
        case .associateAcceptReceived:
            return Self.onPDU(in: state) { $0 == .awaitingAssociateResponse ? .confirmAccept : nil }
        case .associateRejectReceived:
            return Self.onPDU(in: state) { $0 == .awaitingAssociateResponse ? .confirmReject : nil }
        case .transportAccepted:
            return state == .idle ? .awaitAssociateRequest : nil
        case .associateRequestReceived:
            return Self.onAssociateRequest(in: state, isAcceptable: isAcceptable)
        case .associateAccepted:
            return state == .awaitingLocalAssociateResponse ? .sendAssociateAccept : nil
        case .associateRejected:
            return state == .awaitingLocalAssociateResponse ? .sendAssociateReject : nil
        case .dataRequested:
            return Self.onDataRequest(in: state)
        case .dataReceived:
            return Self.onPDU(in: state) { state in
                switch state {
                case .established: .indicateData
                case .awaitingReleaseResponse: .indicateDataWhileReleasing
                default: nil
                }
            }
        case .releaseRequested:
            return state == .established ? .sendReleaseRequest : nil
        case .releaseRequestReceived:
            return Self.onPDU(in: state) { state in
                switch state {
                case .established: .indicateRelease
                case .awaitingReleaseResponse: .indicateReleaseCollision
                default: nil
                }
            }
        case .releaseResponseReceived:
            return Self.onPDU(in: state) { state in
                switch state {
                case .awaitingReleaseResponse, .collisionRequestorAwaitingReleaseResponse: .confirmRelease
                case .collisionAcceptorAwaitingReleaseResponse: .confirmReleaseInCollision
                default: nil
                }
            }
        case .releaseResponded:
            return Self.onReleaseResponse(in: state)
        case .abortRequested:
            return Self.onAbortRequest(in: state)
        case .abortReceived:
            return Self.onAbort(in: state)
        case .transportClosed:
            return Self.onTransportClosed(in: state)
        case .artimExpired:
            return state == .awaitingAssociateRequest || state == .awaitingTransportClose ? .closeTransport : nil
        case .invalidPDUReceived:
            return state == .awaitingTransportClose ? .sendAbortAgain : Self.onPDU(in: state) { _ in nil }
        }
    }

    /// What the rows of received PDUs (Evt3, 4, 10, 12, 13, 19) have in common: where the PDU is not `expected`,
    /// it is AA-1 before an association, AA-8 within one, AA-6 after it.
    private static func onPDU(in state: State, expected: (State) -> Action?) -> Action? {
        if let action = expected(state) { return action }
        switch state {
        case .idle, .awaitingTransportOpening:
            return nil
        case .awaitingAssociateRequest:
            return .sendAbort
        case .awaitingLocalAssociateResponse, .awaitingAssociateResponse, .established, .awaitingReleaseResponse,
            .awaitingLocalReleaseResponse, .collisionRequestorAwaitingLocalResponse,
            .collisionAcceptorAwaitingReleaseResponse, .collisionRequestorAwaitingReleaseResponse,
            .collisionAcceptorAwaitingLocalResponse:
            return .sendProviderAbort
        case .awaitingTransportClose:
            return .ignorePDU
        }
    }

    private static func onAssociateRequest(in state: State, isAcceptable: Bool) -> Action? {
        switch state {
        case .awaitingAssociateRequest: isAcceptable ? .indicateAssociate : .rejectByProvider
        case .awaitingTransportClose: .sendAbortAgain
        default: Self.onPDU(in: state) { _ in nil }
        }
    }

    private static func onDataRequest(in state: State) -> Action? {
        switch state {
        case .established: .sendData
        case .awaitingLocalReleaseResponse: .sendDataWhileReleasing
        default: nil
        }
    }

    private static func onReleaseResponse(in state: State) -> Action? {
        switch state {
        case .awaitingLocalReleaseResponse, .collisionAcceptorAwaitingLocalResponse: .sendReleaseResponse
        case .collisionRequestorAwaitingLocalResponse: .sendReleaseResponseInCollision
        default: nil
        }
    }

    private static func onAbortRequest(in state: State) -> Action? {
        switch state {
        case .idle, .awaitingAssociateRequest, .awaitingTransportClose: nil
        case .awaitingTransportOpening: .closeTransport
        case .awaitingLocalAssociateResponse, .awaitingAssociateResponse, .established, .awaitingReleaseResponse,
            .awaitingLocalReleaseResponse, .collisionRequestorAwaitingLocalResponse,
            .collisionAcceptorAwaitingReleaseResponse, .collisionRequestorAwaitingReleaseResponse,
            .collisionAcceptorAwaitingLocalResponse:
            .sendAbort
        }
    }

    private static func onAbort(in state: State) -> Action? {
        switch state {
        case .idle, .awaitingTransportOpening: nil
        case .awaitingAssociateRequest, .awaitingTransportClose: .closeTransport
        case .awaitingLocalAssociateResponse, .awaitingAssociateResponse, .established, .awaitingReleaseResponse,
            .awaitingLocalReleaseResponse, .collisionRequestorAwaitingLocalResponse,
            .collisionAcceptorAwaitingReleaseResponse, .collisionRequestorAwaitingReleaseResponse,
            .collisionAcceptorAwaitingLocalResponse:
            .indicateAbort
        }
    }

    private static func onTransportClosed(in state: State) -> Action? {
        switch state {
        case .idle: nil
        case .awaitingAssociateRequest: .stopTimer
        case .awaitingTransportClose: .finish
        case .awaitingTransportOpening, .awaitingLocalAssociateResponse, .awaitingAssociateResponse, .established,
            .awaitingReleaseResponse, .awaitingLocalReleaseResponse, .collisionRequestorAwaitingLocalResponse,
            .collisionAcceptorAwaitingReleaseResponse, .collisionRequestorAwaitingReleaseResponse,
            .collisionAcceptorAwaitingLocalResponse:
            .indicateProviderAbort
        }
    }
}
