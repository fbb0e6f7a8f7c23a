// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension UserInformation {
    /// Decodes the sub-items of a user information item; unknown ones are skipped.
    init(decoding body: inout ByteBuffer) throws(DIMSEError) {
        self.init()
        var count = 0
        while var item = try body.readItem() {
            count += 1
            guard count <= PDU.maximumNegotiationItems else {
                throw .malformed("more than \(PDU.maximumNegotiationItems) user information sub-items")
            }
            try self.add(type: item.type, body: &item.body)
        }
    }

    private mutating func add(type: UInt8, body: inout ByteBuffer) throws(DIMSEError) {
        switch ItemType(rawValue: type) {
        case .maximumLength:
            guard let length = body.readInteger(as: UInt32.self) else {
                throw .malformed("the maximum length sub-item has fewer than 4 bytes")
            }
            self.maximumLength = length
        case .implementationClassUID:
            self.implementationClassUID = UIDText.read(body)
        case .implementationVersionName:
            self.implementationVersionName = UIDText.trimmed(body)
        case .asynchronousWindow:
            guard let (invoked, performed) = body.readMultipleIntegers(as: (UInt16, UInt16).self) else {
                throw .malformed("the asynchronous operations window sub-item has fewer than 4 bytes")
            }
            self.asynchronousWindow = AsynchronousWindow(operationsInvoked: invoked, operationsPerformed: performed)
        case .roleSelection:
            guard let uid = body.readLengthPrefixed16(),
                let (scu, scp) = body.readMultipleIntegers(as: (UInt8, UInt8).self)
            else { throw .malformed("a role selection sub-item ends before its roles") }
            self.roleSelections.append(
                RoleSelection(sopClassUID: UIDText.read(uid) ?? "", isSCU: scu == 1, isSCP: scp == 1)
            )
        case .extendedNegotiation:
            guard let uid = body.readLengthPrefixed16() else {
                throw .malformed("an extended negotiation sub-item ends within its SOP class UID")
            }
            self.extendedNegotiations.append(
                ExtendedNegotiation(
                    sopClassUID: UIDText.read(uid) ?? "",
                    information: Array(body.readableBytesView)
                )
            )
        case .commonExtendedNegotiation:
            self.commonExtendedNegotiations.append(Array(body.readableBytesView))
        case .userIdentity:
            self.userIdentity = try Self.decodeIdentity(&body)
        case .userIdentityResponse:
            guard let response = body.readLengthPrefixed16() else {
                throw .malformed("the user identity response ends within its field")
            }
            self.userIdentityResponse = Array(response.readableBytesView)
        default:
            return
        }
    }

    private static func decodeIdentity(_ body: inout ByteBuffer) throws(DIMSEError) -> UserIdentity {
        guard let (type, response) = body.readMultipleIntegers(as: (UInt8, UInt8).self),
            let primary = body.readLengthPrefixed16(),
            let secondary = body.readLengthPrefixed16()
        else { throw .malformed("the user identity sub-item ends within its fields") }
        return UserIdentity(
            type: type,
            isResponseRequested: response == 1,
            primaryField: Array(primary.readableBytesView),
            secondaryField: Array(secondary.readableBytesView)
        )
    }
}
