// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import DIMSE

/// The presentation context that an instance goes out in, and what is done with it for that.
package struct SuboperationSyntax: Sendable, Hashable {
    package enum Form: Sendable, Hashable {
        /// Byte for byte as it is stored.
        case stored
        /// Native pixel data, in the syntax of the context.
        case native(TransferSyntax)
    }

    package let contextID: UInt8
    package let form: Form

    /// The native syntaxes, what costs least first.
    private static let native: [TransferSyntax] = [
        .explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian,
    ]

    /// Chooses among the contexts of the instance's SOP class; nil when none will do.
    ///
    /// The stored syntax where it was accepted: it costs nothing and loses nothing.
    package init?(_ instance: StoredInstance, contexts: [NegotiatedContexts.Context], canDecode: Bool) {
        let own = contexts.filter { $0.abstractSyntax == instance.sopClassUID }
        if let context = own.first(where: { $0.transferSyntax == instance.storedTransferSyntax }) {
            self.contextID = context.id
            self.form = .stored
            return
        }
        guard canDecode else { return nil }
        for syntax in Self.native {
            if let context = own.first(where: { $0.transferSyntax == syntax.uid.string }) {
                self.contextID = context.id
                self.form = .native(syntax)
                return
            }
        }
        return nil
    }
}
