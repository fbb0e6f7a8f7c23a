// SPDX-License-Identifier: Apache-2.0

extension AssociationStateMachine {
    /// The actions of PS3.8 tables 9-6 to 9-9.
    ///
    /// The raw value is the standard's name; AE-6 has two outcomes.
    public enum Action: String, Sendable, Hashable, CaseIterable {
        case connectTransport = "AE-1"
        case sendAssociateRequest = "AE-2"
        case confirmAccept = "AE-3"
        case confirmReject = "AE-4"
        case awaitAssociateRequest = "AE-5"
        case indicateAssociate = "AE-6"
        case rejectByProvider = "AE-6 (reject)"
        case sendAssociateAccept = "AE-7"
        case sendAssociateReject = "AE-8"
        case sendData = "DT-1"
        case indicateData = "DT-2"
        case sendReleaseRequest = "AR-1"
        case indicateRelease = "AR-2"
        case confirmRelease = "AR-3"
        case sendReleaseResponse = "AR-4"
        case finish = "AR-5"
        case indicateDataWhileReleasing = "AR-6"
        case sendDataWhileReleasing = "AR-7"
        case indicateReleaseCollision = "AR-8"
        case sendReleaseResponseInCollision = "AR-9"
        case confirmReleaseInCollision = "AR-10"
        case sendAbort = "AA-1"
        case closeTransport = "AA-2"
        case indicateAbort = "AA-3"
        case indicateProviderAbort = "AA-4"
        case stopTimer = "AA-5"
        case ignorePDU = "AA-6"
        case sendAbortAgain = "AA-7"
        case sendProviderAbort = "AA-8"
    }

    /// What the owner does for an action, in the order of the declarations.
    public struct Effects: OptionSet, Sendable, Hashable {
        public let rawValue: UInt16

        public init(rawValue: UInt16) {
            self.rawValue = rawValue
        }

        /// Open the transport connection.
        public static let connectTransport = Effects(rawValue: 1 << 0)
        /// Send the PDU that the event was about.
        public static let sendPDU = Effects(rawValue: 1 << 1)
        /// Send an A-ABORT with the service user as source.
        public static let sendUserAbort = Effects(rawValue: 1 << 2)
        /// Send an A-ABORT with the service provider as source.
        public static let sendProviderAbort = Effects(rawValue: 1 << 3)
        public static let stopTimer = Effects(rawValue: 1 << 4)
        /// Start the ARTIM timer, or start it again.
        public static let startTimer = Effects(rawValue: 1 << 5)
        /// Tell the service user: hand on the PDU, or the end of the association.
        public static let indicate = Effects(rawValue: 1 << 6)
        public static let closeTransport = Effects(rawValue: 1 << 7)
    }
}

extension AssociationStateMachine.Action {
    public var effects: AssociationStateMachine.Effects {
        switch self {
        case .connectTransport: .connectTransport
        case .sendAssociateRequest, .sendAssociateAccept: .sendPDU
        case .confirmAccept, .indicateData, .indicateDataWhileReleasing: .indicate
        case .confirmReject: [.indicate, .closeTransport]
        case .awaitAssociateRequest: .startTimer
        case .indicateAssociate: [.stopTimer, .indicate]
        case .rejectByProvider: [.sendPDU, .stopTimer, .startTimer]
        case .sendAssociateReject: [.sendPDU, .startTimer]
        case .sendData, .sendDataWhileReleasing: .sendPDU
        case .sendReleaseRequest: .sendPDU
        case .indicateRelease, .indicateReleaseCollision: .indicate
        case .confirmRelease: [.indicate, .closeTransport]
        case .sendReleaseResponse: [.sendPDU, .startTimer]
        case .finish: .stopTimer
        case .sendReleaseResponseInCollision: .sendPDU
        case .confirmReleaseInCollision: .indicate
        case .sendAbort: [.sendUserAbort, .startTimer]
        case .closeTransport: [.stopTimer, .closeTransport]
        case .indicateAbort: [.indicate, .closeTransport]
        case .indicateProviderAbort: .indicate
        case .stopTimer: .stopTimer
        case .ignorePDU: []
        case .sendAbortAgain: .sendProviderAbort
        case .sendProviderAbort: [.sendProviderAbort, .startTimer, .indicate]
        }
    }

    /// The state an action leads to; AR-8 alone depends on the role.
    func nextState(role: AssociationStateMachine.Role) -> AssociationStateMachine.State {
        switch self {
        case .connectTransport: .awaitingTransportOpening
        case .sendAssociateRequest: .awaitingAssociateResponse
        case .confirmAccept: .established
        case .confirmReject: .idle
        case .awaitAssociateRequest: .awaitingAssociateRequest
        case .indicateAssociate: .awaitingLocalAssociateResponse
        case .rejectByProvider, .sendAssociateReject: .awaitingTransportClose
        case .sendAssociateAccept: .established
        case .sendData, .indicateData: .established
        case .sendReleaseRequest, .indicateDataWhileReleasing: .awaitingReleaseResponse
        case .indicateRelease, .sendDataWhileReleasing: .awaitingLocalReleaseResponse
        case .confirmRelease, .finish: .idle
        case .sendReleaseResponse: .awaitingTransportClose
        case .indicateReleaseCollision:
            role == .requestor
                ? .collisionRequestorAwaitingLocalResponse : .collisionAcceptorAwaitingReleaseResponse
        case .sendReleaseResponseInCollision: .collisionRequestorAwaitingReleaseResponse
        case .confirmReleaseInCollision: .collisionAcceptorAwaitingLocalResponse
        case .sendAbort, .ignorePDU, .sendAbortAgain, .sendProviderAbort: .awaitingTransportClose
        case .closeTransport, .indicateAbort, .indicateProviderAbort, .stopTimer: .idle
        }
    }
}
