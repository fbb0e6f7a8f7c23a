// SPDX-License-Identifier: Apache-2.0

public import NIOCore

extension PDU {
    /// Appends the PDU, header included.
    ///
    /// - Precondition: items fit their 16-bit lengths; what goes out is our own.
    public func encode(into buffer: inout ByteBuffer) {
        switch self {
        case .associateRequest(let request):
            buffer.writePDU(.associateRequest) { $0.writeAssociateRequest(request) }
        case .associateAccept(let accept):
            buffer.writePDU(.associateAccept) { $0.writeAssociateAccept(accept) }
        case .associateReject(let reject):
            buffer.writePDU(.associateReject) { body in
                body.writeMultipleIntegers(UInt8(0), reject.result, reject.source, reject.reason)
            }
        case .data(let values):
            buffer.writePDU(.data) { body in
                for value in values {
                    body.writePresentationDataValueHeader(value, byteCount: value.bytes.readableBytes)
                    body.writeImmutableBuffer(value.bytes)
                }
            }
        case .releaseRequest:
            buffer.writePDU(.releaseRequest) { _ = $0.writeInteger(UInt32(0)) }
        case .releaseResponse:
            buffer.writePDU(.releaseResponse) { _ = $0.writeInteger(UInt32(0)) }
        case .abort(let abort):
            buffer.writePDU(.abort) { body in
                body.writeMultipleIntegers(UInt8(0), UInt8(0), abort.source, abort.reason)
            }
        }
    }
}

extension ByteBuffer {
    /// PS3.8 section 9.3.1: type, reserved, length of what follows.
    fileprivate mutating func writePDU(_ type: PDUType, _ body: (inout ByteBuffer) -> Void) {
        self.writeMultipleIntegers(type.rawValue, UInt8(0))
        let lengthIndex = self.writerIndex
        self.writeInteger(UInt32(0))
        let start = self.writerIndex
        body(&self)
        self.setInteger(UInt32(self.writerIndex - start), at: lengthIndex)
    }

    /// PS3.8 section 9.3.1: item type, reserved, 16-bit length of what follows.
    fileprivate mutating func writeItem(_ type: ItemType, _ body: (inout ByteBuffer) -> Void) {
        self.writeMultipleIntegers(type.rawValue, UInt8(0))
        self.writeLengthPrefixed16(body)
    }

    fileprivate mutating func writeLengthPrefixed16(_ body: (inout ByteBuffer) -> Void) {
        let lengthIndex = self.writerIndex
        self.writeInteger(UInt16(0))
        let start = self.writerIndex
        body(&self)
        precondition(self.writerIndex - start <= Int(UInt16.max), "an item of our own making fits its length field")
        self.setInteger(UInt16(self.writerIndex - start), at: lengthIndex)
    }

    fileprivate mutating func writeTextItem(_ type: ItemType, _ text: String) {
        self.writeItem(type) { _ = $0.writeString(text) }
    }

    /// Annex E.2: bit 0 is "command", bit 1 is "last fragment".
    mutating func writePresentationDataValueHeader(_ value: PresentationDataValue, byteCount: Int) {
        let control: UInt8 = (value.isCommand ? 1 : 0) | (value.isLastFragment ? 2 : 0)
        self.writeMultipleIntegers(UInt32(byteCount + 2), value.contextID, control)
    }

    private mutating func writeAETitle(_ title: AETitle?) {
        let text = title?.value ?? ""
        self.writeString(text)
        self.writeRepeatingByte(0x20, count: AETitle.fieldByteCount - text.utf8.count)
    }

    private mutating func writeAssociateStart(version: UInt16, called: AETitle?, calling: AETitle?) {
        self.writeMultipleIntegers(version, UInt16(0))
        self.writeAETitle(called)
        self.writeAETitle(calling)
        self.writeRepeatingByte(0, count: 32)
    }

    fileprivate mutating func writeAssociateRequest(_ request: AssociateRequest) {
        self.writeAssociateStart(
            version: request.protocolVersion,
            called: request.calledAETitle,
            calling: request.callingAETitle
        )
        self.writeTextItem(.applicationContext, request.applicationContext)
        for context in request.presentationContexts {
            self.writeItem(.proposedContext) { item in
                item.writeMultipleIntegers(context.id, UInt8(0), UInt8(0), UInt8(0))
                item.writeTextItem(.abstractSyntax, context.abstractSyntax)
                for transferSyntax in context.transferSyntaxes {
                    item.writeTextItem(.transferSyntax, transferSyntax)
                }
            }
        }
        self.writeUserInformation(request.userInformation)
    }

    fileprivate mutating func writeAssociateAccept(_ accept: AssociateAccept) {
        self.writeAssociateStart(
            version: accept.protocolVersion,
            called: accept.calledAETitle,
            calling: accept.callingAETitle
        )
        self.writeTextItem(.applicationContext, accept.applicationContext)
        for context in accept.presentationContexts {
            self.writeItem(.contextResult) { item in
                item.writeMultipleIntegers(context.id, UInt8(0), context.result.rawValue, UInt8(0))
                item.writeTextItem(.transferSyntax, context.transferSyntax)
            }
        }
        self.writeUserInformation(accept.userInformation)
    }

    private mutating func writeUserInformation(_ information: UserInformation) {
        self.writeItem(.userInformation) { item in
            if let maximumLength = information.maximumLength {
                item.writeItem(.maximumLength) { _ = $0.writeInteger(maximumLength) }
            }
            if let uid = information.implementationClassUID {
                item.writeTextItem(.implementationClassUID, uid)
            }
            if let window = information.asynchronousWindow {
                item.writeItem(.asynchronousWindow) { body in
                    body.writeMultipleIntegers(window.operationsInvoked, window.operationsPerformed)
                }
            }
            for role in information.roleSelections {
                item.writeItem(.roleSelection) { body in
                    body.writeLengthPrefixed16 { _ = $0.writeString(role.sopClassUID) }
                    body.writeMultipleIntegers(UInt8(role.isSCU ? 1 : 0), UInt8(role.isSCP ? 1 : 0))
                }
            }
            if let version = information.implementationVersionName {
                item.writeTextItem(.implementationVersionName, version)
            }
            item.writeNegotiations(information)
        }
    }

    private mutating func writeNegotiations(_ information: UserInformation) {
        for negotiation in information.extendedNegotiations {
            self.writeItem(.extendedNegotiation) { body in
                body.writeLengthPrefixed16 { _ = $0.writeString(negotiation.sopClassUID) }
                body.writeBytes(negotiation.information)
            }
        }
        for negotiation in information.commonExtendedNegotiations {
            self.writeItem(.commonExtendedNegotiation) { _ = $0.writeBytes(negotiation) }
        }
        if let identity = information.userIdentity {
            self.writeItem(.userIdentity) { body in
                body.writeMultipleIntegers(identity.type, UInt8(identity.isResponseRequested ? 1 : 0))
                body.writeLengthPrefixed16 { _ = $0.writeBytes(identity.primaryField) }
                body.writeLengthPrefixed16 { _ = $0.writeBytes(identity.secondaryField) }
            }
        }
        if let response = information.userIdentityResponse {
            self.writeItem(.userIdentityResponse) { body in
                body.writeLengthPrefixed16 { _ = $0.writeBytes(response) }
            }
        }
    }
}

/// Item and sub-item types (PS3.8 sections 9.3.2 and 9.3.3, PS3.7 annex D.3.3).
enum ItemType: UInt8 {
    case applicationContext = 0x10
    case proposedContext = 0x20
    case contextResult = 0x21
    case abstractSyntax = 0x30
    case transferSyntax = 0x40
    case userInformation = 0x50
    case maximumLength = 0x51
    case implementationClassUID = 0x52
    case asynchronousWindow = 0x53
    case roleSelection = 0x54
    case implementationVersionName = 0x55
    case extendedNegotiation = 0x56
    case commonExtendedNegotiation = 0x57
    case userIdentity = 0x58
    case userIdentityResponse = 0x59
}
