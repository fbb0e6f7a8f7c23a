// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore

/// The server's answer to an A-ASSOCIATE-RQ.
enum AssociationAnswer {
    case accept(AssociateAccept, EstablishedAssociation)
    /// The provider rejects for the protocol or its limits, the user for names (PS3.8 AE-6 and AE-8).
    case reject(AssociateReject, isByProvider: Bool)
}

extension ServerState {
    /// Decides about an association.
    ///
    /// With `.accept`, a place is taken that must be given back.
    func answer(to request: AssociateRequest, remoteAddress: SocketAddress?) -> AssociationAnswer {
        guard request.protocolVersion & 1 == 1 else {
            return .reject(.protocolVersionNotSupported, isByProvider: true)
        }
        guard request.applicationContext == UIDText.applicationContext else {
            return .reject(.applicationContextNotSupported, isByProvider: false)
        }
        guard let calling = request.callingAETitle else {
            return .reject(.callingAETitleNotRecognized, isByProvider: false)
        }
        guard let called = request.calledAETitle,
            self.configuration.acceptsAnyCalledAETitle || called == self.configuration.aeTitle
        else {
            return .reject(.calledAETitleNotRecognized, isByProvider: false)
        }
        let info = AssociationRequestInfo(
            callingAETitle: calling,
            calledAETitle: called,
            remoteAddress: remoteAddress,
            presentationContexts: request.presentationContexts,
            userInformation: request.userInformation
        )
        if case .reject(let reject) = self.service.negotiate(info) {
            return .reject(reject, isByProvider: false)
        }
        let fragmenter: MessageFragmenter
        do {
            fragmenter = try MessageFragmenter(
                peerMaximumLength: request.userInformation.maximumLength,
                cap: self.configuration.maximumSentPDULength
            )
        } catch {
            return .reject(.noReasonGiven, isByProvider: false)
        }
        switch self.takeAssociation() {
        case .failure(let reject):
            return .reject(reject, isByProvider: true)
        case .success(let id):
            return self.accept(request, calling: calling, called: called, info: info, id: id, fragmenter: fragmenter)
        }
    }

    private func accept(
        _ request: AssociateRequest,
        calling: AETitle,
        called: AETitle,
        info: AssociationRequestInfo,
        id: UInt64,
        fragmenter: MessageFragmenter
    ) -> AssociationAnswer {
        let results = self.policy.answer(request.presentationContexts)
        var information = UserInformation(
            maximumLength: self.configuration.maximumPDULength,
            implementationClassUID: self.configuration.implementationClassUID,
            implementationVersionName: self.configuration.implementationVersionName
        )
        information.roleSelections = self.policy.answer(
            request.userInformation.roleSelections,
            proposed: request.presentationContexts,
            results: results
        )
        let contexts = NegotiatedContexts(proposed: request.presentationContexts, results: results)
        information.extendedNegotiations = self.answer(request.userInformation.extendedNegotiations, in: contexts)
        if request.userInformation.asynchronousWindow != nil {
            information.asynchronousWindow = AsynchronousWindow(operationsInvoked: 1, operationsPerformed: 1)
        }
        let accept = AssociateAccept(
            calledAETitle: request.calledAETitle,
            callingAETitle: request.callingAETitle,
            presentationContexts: results,
            userInformation: information
        )
        let context = AssociationContext(
            associationID: id,
            callingAETitle: calling,
            calledAETitle: called,
            remoteAddress: info.remoteAddress,
            peerImplementationClassUID: request.userInformation.implementationClassUID,
            peerImplementationVersionName: request.userInformation.implementationVersionName,
            presentationContexts: contexts,
            queryRetrieveOptions: Dictionary(
                information.extendedNegotiations.map { answer in
                    (answer.sopClassUID, QueryRetrieveOptions(information: answer.information))
                },
                uniquingKeysWith: { first, _ in first }
            ),
            requestorSCPClasses: Set(information.roleSelections.filter(\.isSCP).map(\.sopClassUID))
        )
        return .accept(accept, EstablishedAssociation(context: context, fragmenter: fragmenter))
    }

    /// Answers SOP class extended negotiation (PS3.7 section D.3.3.5), once for each SOP class that was accepted.
    private func answer(_ wishes: [ExtendedNegotiation], in contexts: NegotiatedContexts) -> [ExtendedNegotiation] {
        var answered: Set<String> = []
        return wishes.compactMap { wish in
            guard let supported = self.configuration.queryRetrieveSOPClasses[wish.sopClassUID],
                contexts.context(abstractSyntax: wish.sopClassUID, transferSyntax: nil) != nil,
                answered.insert(wish.sopClassUID).inserted
            else { return nil }
            return wish.answer(supported: supported)
        }
    }
}
