// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The answer to a store transaction (STOW-RS, PS3.18 §10.5.3 and annex I): what became of each instance.
public struct StoreInstancesResponse: Sendable, Hashable {
    /// An instance that is stored.
    public struct Stored: Sendable, Hashable {
        public let sopClassUID: String
        public let sopInstanceUID: String
        public let retrieveURL: String
        /// Warning Reason (0008,1196), PS3.18 table I.2-1; nil when there is nothing to warn of.
        public let warningReason: UInt16?

        public init(sopClassUID: String, sopInstanceUID: String, retrieveURL: String, warningReason: UInt16? = nil) {
            self.warningReason = warningReason
            self.sopClassUID = sopClassUID
            self.sopInstanceUID = sopInstanceUID
            self.retrieveURL = retrieveURL
        }
    }

    /// An instance that is not.
    public struct Failed: Sendable, Hashable {
        /// Empty when the part could not be read that far.
        public let sopClassUID: String
        public let sopInstanceUID: String
        /// Failure Reason (0008,1197), PS3.18 table I.2-2.
        public let reason: UInt16

        public init(sopClassUID: String = "", sopInstanceUID: String = "", reason: UInt16) {
            self.sopClassUID = sopClassUID
            self.sopInstanceUID = sopInstanceUID
            self.reason = reason
        }
    }

    /// B007H: stored, though the data set does not keep to its SOP Class.
    public static let dataSetDoesNotMatchSOPClass: UInt16 = 0xB007
    /// A700H: too little room, or too few nodes; worth trying again.
    public static let outOfResources: UInt16 = 0xA700
    /// A900H: the data set is not of the class, or not of the study, that was named.
    public static let dataSetMismatch: UInt16 = 0xA900
    /// C000H: the data set can't be understood.
    public static let cannotUnderstand: UInt16 = 0xC000
    /// 0111H: an instance of this UID with other content is stored already (PS3.7 annex C).
    public static let duplicateInstance: UInt16 = 0x0111
    /// Failure Reason: not authorized.
    public static let notAuthorized: UInt16 = 0x0124
    /// 0110H: a failure of ours.
    public static let processingFailure: UInt16 = 0x0110

    public private(set) var stored: [Stored] = []
    public private(set) var failed: [Failed] = []

    public init() {}

    public mutating func add(_ instance: Stored) { stored.append(instance) }
    public mutating func add(_ instance: Failed) { failed.append(instance) }

    /// 200 when all are stored, 202 when some are or there are warnings, 409 when none is (PS3.18 table 10.5.3-1), and
    /// 503 when none is only for want of resources.
    public var status: Int {
        if failed.isEmpty { return stored.contains { $0.warningReason != nil } ? 202 : 200 }
        if !stored.isEmpty { return 202 }
        return failed.allSatisfy { $0.reason == Self.outOfResources } ? 503 : 409
    }

    /// The Store Instances Response Module (PS3.18 §I.2.1) in the DICOM JSON model.
    public func json(studyURL: String?) -> ByteBuffer {
        var buffer = ByteBuffer(string: "{")
        if let studyURL { Self.write("00081190", "UR", studyURL, into: &buffer) }
        // Each sequence only when it has items: an empty FailedSOPSequence reads like a failure to some clients.
        if !failed.isEmpty {
            if studyURL != nil { buffer.writeStaticString(",") }
            Self.writeSequence("00081198", failed, into: &buffer) { item, buffer in
                Self.write("00081150", "UI", item.sopClassUID, into: &buffer)
                buffer.writeStaticString(",")
                Self.write("00081155", "UI", item.sopInstanceUID, into: &buffer)
                buffer.writeString(",\"00081197\":{\"vr\":\"US\",\"Value\":[\(item.reason)]}")
            }
        }
        if !stored.isEmpty {
            if studyURL != nil || !failed.isEmpty { buffer.writeStaticString(",") }
            Self.writeSequence("00081199", stored, into: &buffer) { item, buffer in
                Self.write("00081150", "UI", item.sopClassUID, into: &buffer)
                buffer.writeStaticString(",")
                Self.write("00081155", "UI", item.sopInstanceUID, into: &buffer)
                buffer.writeStaticString(",")
                Self.write("00081190", "UR", item.retrieveURL, into: &buffer)
                if let reason = item.warningReason {
                    buffer.writeString(",\"00081196\":{\"vr\":\"US\",\"Value\":[\(reason)]}")
                }
            }
        }
        buffer.writeStaticString("}")
        return buffer
    }

    private static func write(_ tag: String, _ vr: String, _ value: String, into buffer: inout ByteBuffer) {
        buffer.writeString("\"\(tag)\":{\"vr\":\"\(vr)\"")
        if !value.isEmpty {
            buffer.writeStaticString(",\"Value\":[")
            JSONText.write(value, into: &buffer)
            buffer.writeStaticString("]")
        }
        buffer.writeStaticString("}")
    }

    private static func writeSequence<Item>(
        _ tag: String,
        _ items: [Item],
        into buffer: inout ByteBuffer,
        _ write: (Item, inout ByteBuffer) -> Void
    ) {
        buffer.writeString("\"\(tag)\":{\"vr\":\"SQ\",\"Value\":[")
        for (index, item) in items.enumerated() {
            buffer.writeString(index > 0 ? ",{" : "{")
            write(item, &buffer)
            buffer.writeStaticString("}")
        }
        buffer.writeStaticString("]}")
    }
}
