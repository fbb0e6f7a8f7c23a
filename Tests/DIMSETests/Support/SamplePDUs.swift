// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore
import Testing

/// PDUs with their bytes, written down from PS3.8 section 9.3 and PS3.7 annex D.3.3, not from the encoder.
enum SamplePDUs {
    struct Sample: Sendable, CustomTestStringConvertible {
        var name: String
        var pdu: PDU
        var hex: String
        var testDescription: String { self.name }
    }

    static var all: [Sample] {
        [Self.request, Self.accept, Self.data] + Self.fixed
    }

    private static let called = "56415256452020202020202020202020"  // "VARVE", 11 spaces
    private static let calling = "4d4f44414c4954592020202020202020"  // "MODALITY", 8 spaces
    private static let reserved = String(repeating: "00", count: 32)
    // Application context item: 10H, reserved, 21, "1.2.840.10008.3.1.1.1".
    private static let applicationContext = "10000015312e322e3834302e31303030382e332e312e312e31"

    static var request: Sample {
        var information = UserInformation(
            maximumLength: 16384,
            implementationClassUID: "1.2.3",
            implementationVersionName: "V1"
        )
        information.asynchronousWindow = AsynchronousWindow(operationsInvoked: 5, operationsPerformed: 0)
        information.roleSelections = [RoleSelection(sopClassUID: "1.2.4", isSCU: true, isSCP: false)]
        information.extendedNegotiations = [ExtendedNegotiation(sopClassUID: "1.2.4", information: [2, 0])]
        information.commonExtendedNegotiations = [[0xAA, 0xBB]]
        information.userIdentity = UserIdentity(
            type: 2,
            isResponseRequested: true,
            primaryField: [0x61],
            secondaryField: [0x62, 0x63]
        )
        let request = AssociateRequest(
            calledAETitle: try? AETitle("VARVE"),
            callingAETitle: try? AETitle("MODALITY"),
            presentationContexts: [
                ProposedContext(id: 1, abstractSyntax: "1.2.4", transferSyntaxes: ["1.2.5", "1.2"])
            ],
            userInformation: information
        )
        let context = "2000001d 01000000 30000005312e322e34 40000005312e322e35 40000003312e32"
        let user = """
            5000004c 51000004 00004000 52000005312e322e33 53000004 0005 0000
            54000009 0005312e322e34 01 00 55000002 5631 56000009 0005312e322e34 0200 57000002 aabb
            58000009 02 01 0001 61 0002 6263
            """
        return Sample(
            name: "A-ASSOCIATE-RQ",
            pdu: .associateRequest(request),
            hex: "0100 000000ce 0001 0000" + Self.called + Self.calling + Self.reserved + Self.applicationContext
                + context + user
        )
    }

    static var accept: Sample {
        var information = UserInformation(maximumLength: 0, implementationClassUID: "1.2.3")
        information.userIdentityResponse = [0x01]
        let accept = AssociateAccept(
            calledAETitle: try? AETitle("VARVE"),
            callingAETitle: try? AETitle("MODALITY"),
            presentationContexts: [
                ContextResult(id: 1, result: .acceptance, transferSyntax: "1.2.5"),
                ContextResult(id: 3, result: .abstractSyntaxNotSupported, transferSyntax: ""),
            ],
            userInformation: information
        )
        return Sample(
            name: "A-ASSOCIATE-AC",
            pdu: .associateAccept(accept),
            hex: "0200 00000096 0001 0000" + Self.called + Self.calling + Self.reserved + Self.applicationContext
                + "2100000d 01000000 40000005312e322e35 21000008 03000300 40000000"
                + "50000018 51000004 00000000 52000005312e322e33 59000003 0001 01"
        )
    }

    static var data: Sample {
        Sample(
            name: "P-DATA-TF",
            pdu: .data([
                PresentationDataValue(contextID: 1, isCommand: true, isLastFragment: true, bytes: bytes("0102")),
                PresentationDataValue(contextID: 1, isCommand: false, isLastFragment: false, bytes: bytes("03040506")),
            ]),
            hex: "0400 00000012 00000004 01 03 0102 00000006 01 00 03040506"
        )
    }

    static let fixed: [Sample] = [
        Sample(
            name: "A-ASSOCIATE-RJ",
            pdu: .associateReject(.localLimitExceeded),
            hex: "0300 00000004 00 02 03 02"
        ),
        Sample(name: "A-RELEASE-RQ", pdu: .releaseRequest, hex: "0500 00000004 00000000"),
        Sample(name: "A-RELEASE-RP", pdu: .releaseResponse, hex: "0600 00000004 00000000"),
        Sample(
            name: "A-ABORT",
            pdu: .abort(.byServiceProvider(.unexpectedPDU)),
            hex: "0700 00000004 00 00 02 02"
        ),
    ]

    /// What DCMTK 3.6.7's echoscu sends; its reserved byte in the context is FFH.
    static let dcmtkRequest = """
        0100000000cd00010000564152564520202020202020202020204d4f44414c4954592020202020202020\(Self.reserved)\
        \(Self.applicationContext)2000002e0100ff00\
        30000011312e322e3834302e31303030382e312e3140000011312e322e3834302e31303030382e312e32\
        5000003a51000004000040005200001b312e322e3237362e302e373233303031302e332e302e332e362e37\
        5500000f4f464649535f44434d544b5f333637
        """

    /// The elements as a decoder gives them, fragments joined back into P-DATA-TF values.
    static func decode(_ pieces: [ByteBuffer], decoder: inout PDUDecoder) throws(DIMSEError) -> [PDUDecoder.Element] {
        var elements: [PDUDecoder.Element] = []
        for piece in pieces {
            var piece = piece
            while let element = try decoder.next(from: &piece) {
                if case .fragment(let fragment) = element, case .fragment(var last)? = elements.last, !last.isEnd,
                    last.contextID == fragment.contextID, last.isCommand == fragment.isCommand
                {
                    last.bytes.writeImmutableBuffer(fragment.bytes)
                    last.isEnd = fragment.isEnd
                    elements[elements.count - 1] = .fragment(last)
                } else {
                    elements.append(element)
                }
            }
            #expect(piece.readableBytes == 0, "a decoder that asks for more has taken all")
        }
        return elements
    }

    /// Decodes what should be one whole stream.
    static func decode(_ stream: ByteBuffer) throws(DIMSEError) -> [PDUDecoder.Element] {
        var decoder = PDUDecoder()
        return try Self.decode([stream], decoder: &decoder)
    }
}
