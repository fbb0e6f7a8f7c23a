// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension PDU {
    /// The most presentation contexts a PDU may list.
    ///
    /// 128 distinct ids exist (odd, 1 to 255); some peers repeat ids, and repeats are sorted out by the
    /// negotiation.
    static let maximumContextItems = 256
    /// The most transfer syntaxes of one context that are kept.
    static let maximumTransferSyntaxes = 128
    /// The most sub-items of each kind in a user information item.
    static let maximumNegotiationItems = 512

    /// Decodes the variable part of any PDU but P-DATA-TF, which `PDUDecoder` streams.
    static func decode(_ type: PDUType, body: ByteBuffer) throws(DIMSEError) -> PDU {
        var body = body
        switch type {
        case .associateRequest:
            return .associateRequest(try Self.decodeRequest(&body))
        case .associateAccept:
            return .associateAccept(try Self.decodeAccept(&body))
        case .associateReject:
            guard let (_, result, source, reason) = body.readMultipleIntegers(as: (UInt8, UInt8, UInt8, UInt8).self)
            else { throw .malformed("A-ASSOCIATE-RJ ends before its reason") }
            return .associateReject(AssociateReject(result: result, source: source, reason: reason))
        case .releaseRequest:
            return .releaseRequest
        case .releaseResponse:
            return .releaseResponse
        case .abort:
            guard let (_, _, source, reason) = body.readMultipleIntegers(as: (UInt8, UInt8, UInt8, UInt8).self)
            else { throw .malformed("A-ABORT ends before its reason") }
            return .abort(AssociateAbort(source: source, reason: reason))
        case .data:
            preconditionFailure("P-DATA-TF is streamed by PDUDecoder and never collected")
        }
    }

    private static func decodeRequest(_ body: inout ByteBuffer) throws(DIMSEError) -> AssociateRequest {
        let start = try body.readAssociateStart()
        var request = AssociateRequest(
            protocolVersion: start.version,
            calledAETitle: start.called,
            callingAETitle: start.calling,
            applicationContext: "",
            presentationContexts: [],
            userInformation: UserInformation()
        )
        while var item = try body.readItem() {
            switch ItemType(rawValue: item.type) {
            case .applicationContext:
                request.applicationContext = UIDText.trimmed(item.body)
            case .proposedContext:
                guard request.presentationContexts.count < Self.maximumContextItems else {
                    throw .malformed("more than \(Self.maximumContextItems) presentation contexts")
                }
                request.presentationContexts.append(try Self.decodeProposedContext(&item.body))
            case .userInformation:
                request.userInformation = try UserInformation(decoding: &item.body)
            default:
                // PS3.8 section 9.3.1: unrecognized items are ignored.
                continue
            }
        }
        return request
    }

    private static func decodeAccept(_ body: inout ByteBuffer) throws(DIMSEError) -> AssociateAccept {
        let start = try body.readAssociateStart()
        var accept = AssociateAccept(
            protocolVersion: start.version,
            calledAETitle: start.called,
            callingAETitle: start.calling,
            applicationContext: "",
            presentationContexts: [],
            userInformation: UserInformation()
        )
        while var item = try body.readItem() {
            switch ItemType(rawValue: item.type) {
            case .applicationContext:
                accept.applicationContext = UIDText.trimmed(item.body)
            case .contextResult:
                guard accept.presentationContexts.count < Self.maximumContextItems else {
                    throw .malformed("more than \(Self.maximumContextItems) presentation contexts")
                }
                accept.presentationContexts.append(try Self.decodeContextResult(&item.body))
            case .userInformation:
                accept.userInformation = try UserInformation(decoding: &item.body)
            default:
                continue
            }
        }
        return accept
    }

    private static func decodeProposedContext(_ body: inout ByteBuffer) throws(DIMSEError) -> ProposedContext {
        guard let (id, _, _, _) = body.readMultipleIntegers(as: (UInt8, UInt8, UInt8, UInt8).self) else {
            throw .malformed("a presentation context item ends before its sub-items")
        }
        var context = ProposedContext(id: id, abstractSyntax: "", transferSyntaxes: [])
        while let item = try body.readItem() {
            switch ItemType(rawValue: item.type) {
            case .abstractSyntax:
                context.abstractSyntax = UIDText.read(item.body) ?? ""
            case .transferSyntax where context.transferSyntaxes.count < Self.maximumTransferSyntaxes:
                // A field that holds no UID cannot be chosen: leave it out.
                if let uid = UIDText.read(item.body) {
                    context.transferSyntaxes.append(uid)
                }
            default:
                continue
            }
        }
        return context
    }

    private static func decodeContextResult(_ body: inout ByteBuffer) throws(DIMSEError) -> ContextResult {
        guard let (id, _, code, _) = body.readMultipleIntegers(as: (UInt8, UInt8, UInt8, UInt8).self) else {
            throw .malformed("a presentation context item ends before its result")
        }
        // Undefined results are rejections without a reason.
        var context = ContextResult(id: id, result: .init(rawValue: code) ?? .noReason, transferSyntax: "")
        // PS3.8 section 9.3.3.2: a rejected context's syntax is not significant; some acceptors send none,
        // or an item whose length overruns.
        guard context.result == .acceptance else { return context }
        while let item = try body.readItem() {
            guard ItemType(rawValue: item.type) == .transferSyntax else { continue }
            context.transferSyntax = UIDText.read(item.body) ?? ""
        }
        guard !context.transferSyntax.isEmpty else {
            throw .malformed("an accepted presentation context names no transfer syntax")
        }
        return context
    }
}

extension ByteBuffer {
    fileprivate struct AssociateStart {
        var version: UInt16
        var called: AETitle?
        var calling: AETitle?
    }

    /// The fixed fields of A-ASSOCIATE-RQ and -AC (PS3.8 tables 9-11 and 9-17).
    fileprivate mutating func readAssociateStart() throws(DIMSEError) -> AssociateStart {
        guard let (version, _) = self.readMultipleIntegers(as: (UInt16, UInt16).self),
            let called = self.readSlice(length: AETitle.fieldByteCount),
            let calling = self.readSlice(length: AETitle.fieldByteCount),
            self.readSlice(length: 32) != nil
        else { throw .malformed("an A-ASSOCIATE PDU ends within its fixed fields") }
        // An invalid title is kept as nil: the service user rejects with the reason that names it.
        return AssociateStart(
            version: version,
            called: try? AETitle(bytes: called.readableBytesView),
            calling: try? AETitle(bytes: calling.readableBytesView)
        )
    }

    /// The next item, or nil at the end.
    mutating func readItem() throws(DIMSEError) -> (type: UInt8, body: ByteBuffer)? {
        guard self.readableBytes > 0 else { return nil }
        guard let (type, _, length) = self.readMultipleIntegers(as: (UInt8, UInt8, UInt16).self) else {
            throw .malformed("an item ends within its header")
        }
        guard let body = self.readSlice(length: Int(length)) else {
            throw .malformed("an item claims \(length) bytes where \(self.readableBytes) are left")
        }
        return (type, body)
    }

    mutating func readLengthPrefixed16() -> ByteBuffer? {
        guard let length = self.readInteger(as: UInt16.self) else { return nil }
        return self.readSlice(length: Int(length))
    }
}
