// SPDX-License-Identifier: Apache-2.0

import DIMSE
import FuzzHarness
import NIOCore

/// The upper layer as an acceptor sees it: PDUs from a stream in pieces, negotiation, messages.
///
/// Input: the byte count of the pieces, then the stream. In pieces and at once the same must come out.
enum PDUFuzz {
    static let target = FuzzTarget("pdu", seeds: seeds, run: run)

    private static let policy = NegotiationPolicy(
        transferSyntaxes: ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"],
        allowsRequestorSCP: { $0.hasSuffix("3") },
        acceptsAbstractSyntax: { $0.hasPrefix("1.2.840.10008") }
    )

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let pieceByteCount = Int(bytes.takeByte() % 64) + 1
        let (whole, wholeFailed) = self.decode(bytes, pieceByteCount: bytes.readableBytes)
        let (pieces, piecesFailed) = self.decode(bytes, pieceByteCount: pieceByteCount)
        FuzzTarget.check(wholeFailed == piecesFailed, "in pieces it fails differently")
        FuzzTarget.check(self.joined(whole) == self.joined(pieces), "in pieces something else comes out")
        var machine = AssociationStateMachine(role: .acceptor)
        _ = machine.handle(.transportAccepted)
        var assembler = MessageAssembler()
        for element in whole {
            switch element {
            case .pdu(let pdu): self.handle(pdu, &machine)
            case .fragment(let fragment):
                _ = machine.handle(.dataReceived)
                guard let outcome = try? assembler.receive(fragment) else { return }
                if case .command(let command, _) = outcome { CommandFuzz.exercise(command) }
            }
        }
    }

    private static func decode(
        _ bytes: ByteBuffer,
        pieceByteCount: Int
    ) -> (elements: [PDUDecoder.Element], hasFailed: Bool) {
        var rest = bytes
        var decoder = PDUDecoder(limits: .init(dataByteCount: 8_192, controlByteCount: 8_192))
        var elements: [PDUDecoder.Element] = []
        while var piece = rest.readSlice(length: min(pieceByteCount, rest.readableBytes)), piece.readableBytes > 0 {
            do throws(DIMSEError) {
                while let element = try decoder.next(from: &piece) { elements.append(element) }
            } catch {
                return (elements, true)
            }
            FuzzTarget.check(piece.readableBytes == 0, "the decoder wants more and left some")
        }
        return (elements, false)
    }

    /// The same elements with neighbouring fragments of one value as one.
    private static func joined(_ elements: [PDUDecoder.Element]) -> [PDUDecoder.Element] {
        var result: [PDUDecoder.Element] = []
        for element in elements {
            guard case .fragment(let fragment) = element, case .fragment(var last)? = result.last, !last.isEnd,
                last.contextID == fragment.contextID, last.isCommand == fragment.isCommand
            else {
                result.append(element)
                continue
            }
            last.bytes.writeImmutableBuffer(fragment.bytes)
            last.isEnd = fragment.isEnd
            result[result.count - 1] = .fragment(last)
        }
        return result
    }

    private static func handle(_ pdu: PDU, _ machine: inout AssociationStateMachine) {
        self.checkRoundTrip(pdu)
        switch pdu {
        case .associateRequest(let request):
            if machine.handle(.associateRequestReceived, isAcceptable: request.protocolVersion & 1 == 1) != nil {
                self.negotiate(request)
                _ = machine.handle(.associateAccepted)
            }
        case .associateAccept: _ = machine.handle(.associateAcceptReceived)
        case .associateReject: _ = machine.handle(.associateRejectReceived)
        case .releaseRequest: _ = machine.handle(.releaseRequestReceived)
        case .releaseResponse: _ = machine.handle(.releaseResponseReceived)
        case .abort: _ = machine.handle(.abortReceived)
        case .data: FuzzTarget.fail("the decoder collected a P-DATA-TF PDU")
        }
    }

    private static func negotiate(_ request: AssociateRequest) {
        let proposed = request.presentationContexts
        let results = self.policy.answer(proposed)
        let roles = self.policy.answer(request.userInformation.roleSelections, proposed: proposed, results: results)
        let contexts = NegotiatedContexts(proposed: proposed, results: results)
        FuzzTarget.check(contexts.accepted.count <= 128, "more than 128 contexts are accepted")
        for context in contexts.accepted {
            FuzzTarget.check(contexts[context.id] == context, "a context is not found by its id")
        }
        _ = try? MessageFragmenter(peerMaximumLength: request.userInformation.maximumLength)
        var information = UserInformation(maximumLength: 16_384)
        information.roleSelections = roles
        let accept = AssociateAccept(
            calledAETitle: request.calledAETitle,
            callingAETitle: request.callingAETitle,
            presentationContexts: results,
            userInformation: information
        )
        // What goes out is our own: encoding it must not trap, whatever the peer proposed.
        var output = ByteBuffer()
        PDU.associateAccept(accept).encode(into: &output)
    }

    /// What was decoded and is encoded again decodes to the same.
    private static func checkRoundTrip(_ pdu: PDU) {
        var encoded = ByteBuffer()
        pdu.encode(into: &encoded)
        var decoder = PDUDecoder()
        var rest = encoded
        guard let element = try? decoder.next(from: &rest) else {
            FuzzTarget.fail("an encoded PDU does not decode: \(encoded.hexadecimal)")
        }
        FuzzTarget.check(element == .pdu(pdu), "a PDU decodes to another: \(encoded.hexadecimal)")
    }
}
