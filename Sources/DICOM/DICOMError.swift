// SPDX-License-Identifier: Apache-2.0

/// What this module throws: bytes that are not DICOM, a limit that was reached, a value that can't be written.
///
/// Never holds a value of the data set, so it may be logged; a path names tags and item numbers only.
public struct DICOMError: Error, Hashable, Sendable {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String {
            case truncated, invalidStructure, invalidLength, limitExceeded, invalidUID, unsupportedTransferSyntax
            case invalidFileMeta, invalidImage, invalidDeflateStream, valueTooLong, invalidJSON, invalidValue
        }

        private let value: Value

        /// The bytes end before the element does: more bytes may help.
        public static let truncated = Self(value: .truncated)
        /// A tag where none may stand.
        public static let invalidStructure = Self(value: .invalidStructure)
        /// A length that does not fit into what encloses it, or an undefined one where it is not allowed.
        public static let invalidLength = Self(value: .invalidLength)
        /// One of `ReadLimits`.
        public static let limitExceeded = Self(value: .limitExceeded)
        public static let invalidUID = Self(value: .invalidUID)
        public static let unsupportedTransferSyntax = Self(value: .unsupportedTransferSyntax)
        /// Part 10 without what it needs.
        public static let invalidFileMeta = Self(value: .invalidFileMeta)
        /// An Image Pixel module that can't be true.
        public static let invalidImage = Self(value: .invalidImage)
        public static let invalidDeflateStream = Self(value: .invalidDeflateStream)
        /// A value that no encoding has a length for.
        public static let valueTooLong = Self(value: .valueTooLong)
        /// Not JSON, or not the DICOM JSON model.
        public static let invalidJSON = Self(value: .invalidJSON)
        /// A value that its representation can't hold.
        public static let invalidValue = Self(value: .invalidValue)

        public var description: String { self.value.rawValue }
    }

    public var code: Code
    /// What is wrong, in a sentence without data of the data set.
    public var message: String
    /// Byte offset from the start of the data set (of the inflated one, if deflated).
    public var offset: Int?
    /// Where in the data set: `(0040,0275)[2].(0040,0007)`.
    public var tagPath: String?

    public init(_ code: Code, _ message: String, offset: Int? = nil, tagPath: String? = nil) {
        self.code = code
        self.message = message
        self.offset = offset
        self.tagPath = tagPath
    }

    init(_ code: Code, _ message: String, offset: Int? = nil, at tag: Tag) {
        self.init(code, message, offset: offset, tagPath: tag.description)
    }

    /// The error with the tag it happened at.
    func at(_ tag: Tag) -> DICOMError {
        var error = self
        error.tagPath = tag.description
        return error
    }

    /// The error as seen from one level further out.
    func inside(_ tag: Tag, item: Int) -> DICOMError {
        var error = self
        let outer = "\(tag)[\(item)]"
        error.tagPath = self.tagPath.map { "\(outer).\($0)" } ?? outer
        return error
    }
}

extension DICOMError: CustomStringConvertible {
    public var description: String {
        var text = "\(self.code): \(self.message)"
        if let tagPath { text += ", at \(tagPath)" }
        if let offset { text += ", byte offset \(offset)" }
        return text
    }
}
