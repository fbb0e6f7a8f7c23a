// SPDX-License-Identifier: Apache-2.0

public import NIOCore

extension DICOMJSON {
    /// A value that is somewhere else.
    public struct BulkDataReference: Hashable, Sendable {
        public var path: TagPath
        public var vr: VR
        /// As written: absolute, or relative to where the JSON came from.
        public var uri: String
    }

    /// Answers with the value of a bulk data reference: bytes in little endian, or fragments.
    ///
    /// An empty value serves as a placeholder.
    public typealias BulkDataSource = (BulkDataReference) throws(DICOMError) -> ElementValue

    /// Reads one data set: a JSON object, or an array of one.
    ///
    /// The data set is in explicit VR little endian and its text in UTF-8; Specific Character Set becomes `ISO_IR 192`
    /// where the JSON has one, and is added where text goes beyond ASCII. Elements are sorted, group lengths left out,
    /// and odd values padded.
    ///
    /// Understood beyond PS3.18 annex F: numbers for strings and the reverse, whatever the VR; a person's name as a
    /// string; tags in small letters; a missing `vr` of an element that the dictionary knows. An element that comes twice
    /// in one data set is refused: nobody can tell which value is meant (RFC 8259 §4).
    /// - Throws: code `.invalidJSON` or `.invalidValue` with offset and tag path; `.truncated` when the text is cut;
    ///   `.limitExceeded` by `limits`; what `bulkData` throws.
    public static func read(
        _ bytes: ByteBuffer,
        limits: ReadLimits = .standard,
        bulkData: BulkDataSource? = nil
    ) throws(DICOMError) -> DataSet {
        let all = try self.readAll(bytes, limits: limits, bulkData: bulkData)
        guard let first = all.first, all.count == 1 else {
            throw DICOMError(.invalidJSON, "one data set was expected, the array has \(all.count)", offset: 0)
        }
        return first
    }

    /// Reads the data sets of a JSON array, as metadata and search results come in; or a single object.
    public static func readAll(
        _ bytes: ByteBuffer,
        limits: ReadLimits = .standard,
        bulkData: BulkDataSource? = nil
    ) throws(DICOMError) -> [DataSet] {
        guard bytes.readableBytes <= limits.maximumJSONByteCount else {
            throw DICOMError(
                .limitExceeded,
                "the JSON text has \(bytes.readableBytes) bytes; \(limits.maximumJSONByteCount) are allowed"
            )
        }
        var reader = JSONReader(limits: limits, bulkData: bulkData)
        return try reader.readAll(bytes.readableBytesSpan)
    }
}
