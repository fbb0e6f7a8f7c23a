// SPDX-License-Identifier: Apache-2.0

/// What a check holds data sets to: a name that scripts and policies may rely on, and where the standard says it.
public struct CheckRule: Hashable, Sendable {
    /// How much a finding matters.
    public enum Severity: String, Hashable, Sendable, Comparable {
        /// Against the standard or unusual, but every reader understands it alike.
        case warning
        /// A reader that keeps to the standard may refuse it, misread it or lose something.
        case error

        public static func < (left: Self, right: Self) -> Bool { left == .warning && right == .error }
    }

    /// In small letters with dashes: `value-syntax`.
    public let name: String
    public let severity: Severity
    /// Part and section: `PS3.5 6.2`.
    public let section: String

    private init(_ name: String, _ severity: Severity, _ section: String) {
        self.name = name
        self.severity = severity
        self.section = section
    }
}

/// The structure of a data set.
extension CheckRule {
    /// The bytes can't be read to their end.
    public static let unreadable = Self("unreadable", .error, "PS3.5 7.1")
    public static let oddLength = Self("odd-length", .error, "PS3.5 7.1.1")
    public static let elementOrder = Self("element-order", .error, "PS3.5 7.1")
    public static let duplicateElement = Self("duplicate-element", .error, "PS3.5 7.1")
    public static let groupLength = Self("group-length", .warning, "PS3.5 7.2")
    public static let missingVR = Self("missing-vr", .error, "PS3.5 7.1.2")
    public static let unknownVR = Self("unknown-vr", .error, "PS3.5 6.2")
    public static let reservedBytes = Self("reserved-bytes", .warning, "PS3.5 7.1.2")
    /// The bytes are in another encoding than the transfer syntax says.
    public static let wrongEncoding = Self("wrong-encoding", .error, "PS3.5 10")
    /// UN of undefined length holds explicit VR.
    public static let unknownEncoding = Self("unknown-encoding", .error, "PS3.5 6.2.2")
    public static let strayDelimiter = Self("stray-delimiter", .error, "PS3.5 7.5.2")
    public static let missingDelimiter = Self("missing-delimiter", .error, "PS3.5 7.5.2")
    public static let delimiterLength = Self("delimiter-length", .warning, "PS3.5 7.5.2")
    public static let sequenceWithoutItems = Self("sequence-without-items", .error, "PS3.5 7.5")
    public static let trailingBytes = Self("trailing-bytes", .warning, "PS3.5 7.1")
    /// A group that is reserved for commands, files or directories.
    public static let reservedGroup = Self("reserved-group", .warning, "PS3.5 7.1")
    public static let privateCreator = Self("private-creator", .warning, "PS3.5 7.8.1")
    public static let privateElement = Self("private-element", .warning, "PS3.5 7.8.1")
}

/// Values.
extension CheckRule {
    /// Another VR than the dictionary has.
    public static let dictionaryVR = Self("dictionary-vr", .error, "PS3.6 6")
    /// An even group number, but not in the dictionary of this version.
    public static let unknownElement = Self("unknown-element", .warning, "PS3.6 6")
    public static let multiplicity = Self("multiplicity", .warning, "PS3.5 6.4")
    public static let valueSyntax = Self("value-syntax", .error, "PS3.5 6.2")
    /// A form that the standard no longer has, or that differs in what every reader ignores.
    public static let valueForm = Self("value-form", .warning, "PS3.5 6.2")
    public static let valueLength = Self("value-length", .warning, "PS3.5 6.2")
    /// A length that is no whole number of numbers.
    public static let numberLength = Self("number-length", .error, "PS3.5 6.2")
    public static let characters = Self("characters", .warning, "PS3.5 6.2")
    public static let padding = Self("padding", .warning, "PS3.5 6.2")
    public static let uid = Self("uid", .error, "PS3.5 9.1")
    public static let undecodableText = Self("undecodable-text", .error, "PS3.5 6.1.2")
    public static let characterSetTerm = Self("character-set-term", .error, "PS3.3 C.12.1.1.2")
    public static let characterSetForm = Self("character-set-form", .warning, "PS3.3 C.12.1.1.2")
}

/// Identity and pixel data.
extension CheckRule {
    public static let sopCommon = Self("sop-common", .error, "PS3.3 C.12.1")
    public static let studyUID = Self("study-uid", .error, "PS3.3 C.7.2.1")
    public static let seriesUID = Self("series-uid", .error, "PS3.3 C.7.3.1")
    public static let imagePixel = Self("image-pixel", .error, "PS3.3 C.7.6.3")
    public static let highBit = Self("high-bit", .warning, "PS3.5 8.1.1")
    public static let paletteMissing = Self("palette-missing", .error, "PS3.3 C.7.6.3.1.5")
    public static let pixelDataShort = Self("pixel-data-short", .error, "PS3.5 8.1.1")
    public static let pixelDataLong = Self("pixel-data-long", .warning, "PS3.5 8.1.1")
    public static let pixelDataVR = Self("pixel-data-vr", .warning, "PS3.5 8.2")
    public static let encapsulation = Self("encapsulation", .error, "PS3.5 A.4")
    public static let offsetTable = Self("offset-table", .error, "PS3.5 A.4")
    public static let extendedOffsetTable = Self("extended-offset-table", .error, "PS3.3 C.7.6.3.1.8")
    public static let fragments = Self("fragments", .error, "PS3.5 A.4")
    /// Nothing says where the frames begin.
    public static let frameBoundaries = Self("frame-boundaries", .warning, "PS3.5 A.4")
    public static let lossyCompression = Self("lossy-compression", .warning, "PS3.3 C.7.6.1.1.5")
}

/// The file format.
extension CheckRule {
    public static let filePrefix = Self("file-prefix", .error, "PS3.10 7.1")
    public static let fileMeta = Self("file-meta", .error, "PS3.10 7.1")
    public static let fileMetaElement = Self("file-meta-element", .warning, "PS3.10 7.1")
    public static let fileMetaIdentity = Self("file-meta-identity", .error, "PS3.10 7.1")
    /// Legal, but only those who know the syntax can read it.
    public static let transferSyntax = Self("transfer-syntax", .warning, "PS3.6 A")

    /// Every rule, in the order of the documentation.
    public static let all: [CheckRule] = [
        unreadable, oddLength, elementOrder, duplicateElement, groupLength, missingVR, unknownVR, reservedBytes,
        wrongEncoding, unknownEncoding, strayDelimiter, missingDelimiter, delimiterLength, sequenceWithoutItems,
        trailingBytes, reservedGroup, privateCreator, privateElement, dictionaryVR, unknownElement, multiplicity,
        valueSyntax, valueForm, valueLength, numberLength, characters, padding, uid, undecodableText, characterSetTerm,
        characterSetForm, sopCommon, studyUID, seriesUID, imagePixel, highBit, paletteMissing, pixelDataShort,
        pixelDataLong, pixelDataVR, encapsulation, offsetTable, extendedOffsetTable, fragments, frameBoundaries,
        lossyCompression, filePrefix, fileMeta, fileMetaElement, fileMetaIdentity, transferSyntax,
    ]
}
