// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// File meta information: group 0002 (PS3.10 section 7.1).
public struct FileMeta: Hashable, Sendable {
    /// All elements that were read or will be written, those this version does not know included.
    public var elements: DataSet

    /// Varve's implementation class UID, from the UUID e2c98d88-5c2d-5d77-8d85-8538199e261a.
    public static let implementationClassUID = UID(unchecked: "2.25.301452049339268168405964274361167652378")
    /// The same in every version: digests of stored instances cover it.
    public static let implementationVersionName = "VARVE"

    public init(elements: DataSet) {
        self.elements = elements
    }

    /// The meta information of an instance that Varve writes.
    public init(
        sopClassUID: UID,
        sopInstanceUID: UID,
        transferSyntaxUID: UID,
        sourceAETitle: String? = nil
    ) {
        var elements = DataSet(encoding: .explicitLittleEndian)
        elements.set(
            DataElement(tag: .fileMetaInformationVersion, vr: .ob, value: .bytes(ByteBuffer(bytes: [0, 1])))
        )
        elements.set(.mediaStorageSOPClassUID, .ui, sopClassUID.string)
        elements.set(.mediaStorageSOPInstanceUID, .ui, sopInstanceUID.string)
        elements.set(.transferSyntaxUID, .ui, transferSyntaxUID.string)
        elements.set(.implementationClassUID, .ui, Self.implementationClassUID.string)
        elements.set(.implementationVersionName, .sh, Self.implementationVersionName)
        if let sourceAETitle, !sourceAETitle.isEmpty {
            elements.set(.sourceApplicationEntityTitle, .ae, sourceAETitle)
        }
        self.elements = elements
    }

    /// The meta information of an instance that Varve writes.
    public init(
        sopClassUID: UID,
        sopInstanceUID: UID,
        transferSyntax: TransferSyntax,
        sourceAETitle: String? = nil
    ) {
        self.init(
            sopClassUID: sopClassUID,
            sopInstanceUID: sopInstanceUID,
            transferSyntaxUID: transferSyntax.uid,
            sourceAETitle: sourceAETitle
        )
    }

    public var mediaStorageSOPClassUID: UID? { self.elements.uid(.mediaStorageSOPClassUID) }
    public var mediaStorageSOPInstanceUID: UID? { self.elements.uid(.mediaStorageSOPInstanceUID) }
    public var transferSyntaxUID: UID? { self.elements.uid(.transferSyntaxUID) }
    public var implementationClassUID: UID? { self.elements.uid(.implementationClassUID) }
    public var implementationVersionName: String? { self.elements.string(.implementationVersionName) }
    public var sourceAETitle: String? { self.elements.string(.sourceApplicationEntityTitle) }

    /// The syntax of the data set; nil when it is missing or not one of PS3.6.
    public var transferSyntax: TransferSyntax? {
        self.transferSyntaxUID.flatMap { TransferSyntax.known($0) }
    }
}
