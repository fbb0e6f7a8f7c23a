// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Writes data sets in any transfer syntax.
///
/// What was read in the same encoding comes out byte for byte, as far as it was well formed: the forms of lengths are
/// kept. Between encodings the numbers are swapped by their VR, and group lengths are computed anew.
public enum DataSetWriter {
    public struct Options: Hashable, Sendable {
        /// How the lengths of sequences and items are written.
        public enum LengthForm: Hashable, Sendable {
            case asRead
            case undefined
        }

        public var lengths = LengthForm.asRead
        /// Leave out group lengths (gggg,0000), which PS3.5 section 7.2 has retired.
        public var omitsGroupLengths = false
        /// Pad values of odd length with the byte of their VR.
        public var padsOddValues = false
        /// Write UN that was understood as a sequence as SQ in the encoding of the rest.
        public var convertsUnknownSequences = false
        /// Write elements in tag order, the last of several with one tag.
        public var sortsElements = false

        public static let standard = Options()

        /// One byte sequence for all forms of a data set that mean the same.
        public static let canonical: Options = {
            var options = Options()
            options.lengths = .undefined
            options.omitsGroupLengths = true
            options.padsOddValues = true
            options.convertsUnknownSequences = true
            options.sortsElements = true
            return options
        }()

        public init() {}
    }

    /// The most a buffer may become; `ByteBuffer` ends at 4 GiB.
    public static let maximumByteCount = 4_000_000_000

    /// Encodes `dataSet`.
    ///
    /// Fragments stay fragments: whether pixel data suits the syntax is the caller's affair.
    public static func write(
        _ dataSet: DataSet,
        transferSyntax: TransferSyntax,
        options: Options = .standard
    ) throws(DICOMError) -> ByteBuffer {
        var bytes = ByteBuffer()
        try self.append(dataSet, encoding: transferSyntax.encoding, options: options, to: &bytes)
        return transferSyntax.isDeflated ? try Deflate.deflate(bytes) : bytes
    }

    /// Appends `dataSet` in `encoding` to `bytes`.
    public static func append(
        _ dataSet: DataSet,
        encoding: DataSetEncoding,
        options: Options = .standard,
        to bytes: inout ByteBuffer
    ) throws(DICOMError) {
        let estimate = Self.estimate(dataSet)
        guard estimate <= Self.maximumByteCount - bytes.readableBytes else {
            throw DICOMError(.valueTooLong, "the data set has some \(estimate) bytes, too many for one buffer")
        }
        bytes.reserveCapacity(minimumWritableBytes: estimate)
        var encoder = DataSetEncoder(output: bytes, options: options)
        // The encoder is to be the only owner, or each write would copy.
        bytes = ByteBuffer()
        defer { bytes = encoder.output }
        try encoder.write(dataSet, as: encoding, bitsAllocated: nil)
    }

    /// An upper bound of the encoded bytes.
    private static func estimate(_ dataSet: DataSet) -> Int {
        dataSet.elements.reduce(0) { total, element in
            switch element.value {
            case .bytes(let bytes): total + 13 + bytes.readableBytes
            case .items(let items): items.reduce(total + 20) { $0 + 16 + self.estimate($1.dataSet) }
            case .fragments(let value): total + 12 + value.encodedByteCount
            }
        }
    }
}
