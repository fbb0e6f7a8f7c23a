// SPDX-License-Identifier: Apache-2.0

/// How a data set is written as bytes (PS3.5 section 10).
public struct TransferSyntax: Hashable, Sendable {
    public let uid: UID
    /// The name of PS3.6.
    public let name: String
    public let isExplicitVR: Bool
    public let isBigEndian: Bool
    /// The whole data set is one RFC 1951 stream.
    public let isDeflated: Bool
    /// Pixel Data is a sequence of fragments.
    public let isEncapsulated: Bool
    public let isRetired: Bool

    /// The syntax of PS3.6 with this UID.
    public static func known(_ uid: UID) -> TransferSyntax? {
        UIDRegistry.transferSyntaxes[uid.string]
    }

    /// The syntax with this UID; padding is ignored.
    public static func known(_ uid: String) -> TransferSyntax? {
        UIDRegistry.transferSyntaxes[uid] ?? (try? UID(validating: uid)).flatMap { self.known($0) }
    }

    /// VR and byte order of the data set.
    public var encoding: DataSetEncoding {
        DataSetEncoding(isExplicitVR: self.isExplicitVR, isBigEndian: self.isBigEndian)
    }

    init(uid: String, name: String, isRetired: Bool) {
        self.uid = UID(unchecked: uid)
        self.name = name
        self.isRetired = isRetired
        let last = uid.dropFirst("1.2.840.10008.1.2".utf8.count)
        self.isExplicitVR = !(last.isEmpty || uid == "1.2.840.10008.1.20")
        self.isBigEndian = last == ".2"
        self.isDeflated = last == ".1.99" || last == ".4.95" || last == ".4.205"
        let isJPIP = last == ".4.94" || last == ".4.95" || last == ".4.204" || last == ".4.205"
        self.isEncapsulated =
            (last.hasPrefix(".4.") && !isJPIP) || last == ".5" || last == ".1.98" || last.hasPrefix(".6.")
            || last.hasPrefix(".8.")
    }
}

extension TransferSyntax {
    public static let implicitVRLittleEndian = named("1.2.840.10008.1.2")
    public static let explicitVRLittleEndian = named("1.2.840.10008.1.2.1")
    public static let deflatedExplicitVRLittleEndian = named("1.2.840.10008.1.2.1.99")
    public static let explicitVRBigEndian = named("1.2.840.10008.1.2.2")
    public static let jpegBaseline = named("1.2.840.10008.1.2.4.50")
    public static let jpegExtended = named("1.2.840.10008.1.2.4.51")
    public static let jpegLossless = named("1.2.840.10008.1.2.4.57")
    public static let jpegLosslessSV1 = named("1.2.840.10008.1.2.4.70")
    public static let jpegLSLossless = named("1.2.840.10008.1.2.4.80")
    public static let jpegLSNearLossless = named("1.2.840.10008.1.2.4.81")
    public static let jpeg2000Lossless = named("1.2.840.10008.1.2.4.90")
    public static let jpeg2000 = named("1.2.840.10008.1.2.4.91")
    public static let htj2kLossless = named("1.2.840.10008.1.2.4.201")
    public static let htj2kLosslessRPCL = named("1.2.840.10008.1.2.4.202")
    public static let htj2k = named("1.2.840.10008.1.2.4.203")
    public static let rleLossless = named("1.2.840.10008.1.2.5")

    private static func named(_ uid: String) -> TransferSyntax {
        UIDRegistry.transferSyntaxes[uid] ?? TransferSyntax(uid: uid, name: uid, isRetired: false)
    }

    /// Every syntax of PS3.6, in the order of the standard.
    public static var all: [TransferSyntax] { UIDRegistry.orderedTransferSyntaxes }
}

extension TransferSyntax: CustomStringConvertible {
    public var description: String { self.name }
}
