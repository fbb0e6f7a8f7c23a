// SPDX-License-Identifier: Apache-2.0

import DIMSE
import FuzzHarness
import NIOCore

extension PDUFuzz {
    static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let pdus: [[PDU]] = [
            [.associateRequest(self.request), .data(self.echo), .releaseRequest],
            [.associateRequest(self.request), .data(self.store), .abort(.byServiceUser)],
            [.associateAccept(self.accept)], [.associateReject(.noReasonGiven)], [.releaseResponse],
        ]
        return pdus.flatMap { list in
            [UInt8(63), 4].map { pieces in
                var seed = ByteBuffer(integer: pieces)
                for pdu in list { pdu.encode(into: &seed) }
                return seed
            }
        }
    }

    private static var information: UserInformation {
        var information = UserInformation(
            maximumLength: 16_384,
            implementationClassUID: "1.2.3",
            implementationVersionName: "FUZZ"
        )
        information.asynchronousWindow = AsynchronousWindow(operationsInvoked: 5, operationsPerformed: 0)
        information.roleSelections = [RoleSelection(sopClassUID: "1.2.840.10008.1.3", isSCU: true, isSCP: true)]
        information.extendedNegotiations = [ExtendedNegotiation(sopClassUID: "1.2.4", information: [2, 0])]
        information.commonExtendedNegotiations = [[0xAA, 0xBB]]
        information.userIdentity = UserIdentity(type: 2, isResponseRequested: true, primaryField: [0x61])
        return information
    }

    private static var request: AssociateRequest {
        AssociateRequest(
            // "VARVE" and "FUZZ" are titles.
            calledAETitle: try? AETitle("VARVE"),
            callingAETitle: try? AETitle("FUZZ"),
            presentationContexts: [
                ProposedContext(
                    id: 1,
                    abstractSyntax: "1.2.840.10008.1.3",
                    transferSyntaxes: ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
                ),
                ProposedContext(id: 3, abstractSyntax: UIDText.verification, transferSyntaxes: ["1.2.840.10008.1.2"]),
            ],
            userInformation: self.information
        )
    }

    private static var accept: AssociateAccept {
        AssociateAccept(
            calledAETitle: try? AETitle("VARVE"),
            callingAETitle: try? AETitle("FUZZ"),
            presentationContexts: [
                ContextResult(id: 1, result: .acceptance, transferSyntax: "1.2.840.10008.1.2"),
                ContextResult(id: 3, result: .abstractSyntaxNotSupported, transferSyntax: "1.2.840.10008.1.2"),
            ],
            userInformation: self.information
        )
    }

    private static func value(_ command: CommandSet) -> PresentationDataValue {
        var bytes = ByteBuffer()
        command.encode(into: &bytes)
        return PresentationDataValue(contextID: 1, isCommand: true, isLastFragment: true, bytes: bytes)
    }

    private static var echo: [PresentationDataValue] { [self.value(CommandSet.echoRequest(messageID: 1))] }

    private static var store: [PresentationDataValue] {
        [
            self.value(CommandFuzz.store),
            PresentationDataValue(
                contextID: 1,
                isCommand: false,
                isLastFragment: true,
                bytes: ByteBuffer(bytes: [8, 0, 0x18, 0, 2, 0, 0, 0, 0x31, 0])
            ),
        ]
    }
}
