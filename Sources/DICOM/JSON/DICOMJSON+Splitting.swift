// SPDX-License-Identifier: Apache-2.0

public import NIOCore

extension DICOMJSON {
    /// The objects of a JSON array, each as its own text, or the one object that stands for itself; shares the bytes.
    ///
    /// Only the grammar of JSON is checked: whether an object is a data set, ``read(_:limits:bulkData:)`` tells, of
    /// each by itself.
    /// - Throws: code `.invalidJSON` with offset; `.truncated` when the text is cut; `.limitExceeded` by `limits`.
    public static func split(
        _ bytes: ByteBuffer,
        limits: ReadLimits = .standard
    ) throws(DICOMError) -> [ByteBuffer] {
        guard bytes.readableBytes <= limits.maximumJSONByteCount else {
            throw DICOMError(
                .limitExceeded,
                "the JSON text has \(bytes.readableBytes) bytes; \(limits.maximumJSONByteCount) are allowed"
            )
        }
        return try self.objects(bytes.readableBytesSpan, limits).compactMap { range in
            bytes.getSlice(at: bytes.readerIndex + range.lowerBound, length: range.count)
        }
    }

    private static func objects(_ bytes: RawSpan, _ limits: ReadLimits) throws(DICOMError) -> [Range<Int>] {
        var scanner = JSONScanner(maximumNesting: 3 * limits.maximumDepth + 8)
        scanner.skipByteOrderMark(bytes)
        var found: [Range<Int>] = []
        if try scanner.kind(bytes) == .array {
            try scanner.expect("[", bytes)
            while try scanner.hasNext(closing: "]", isFirst: found.isEmpty, bytes) {
                guard found.count < limits.maximumItemCount else {
                    throw DICOMError(
                        .limitExceeded,
                        "more than \(limits.maximumItemCount) items",
                        offset: scanner.position
                    )
                }
                found.append(try self.object(&scanner, bytes))
            }
        } else {
            found.append(try self.object(&scanner, bytes))
        }
        guard scanner.peek(bytes) == nil else { throw scanner.failure("something follows the JSON value") }
        return found
    }

    private static func object(_ scanner: inout JSONScanner, _ bytes: RawSpan) throws(DICOMError) -> Range<Int> {
        guard try scanner.kind(bytes) == .object else { throw scanner.failure("a data set is a JSON object") }
        let start = scanner.position
        try scanner.skipValue(bytes)
        return start..<scanner.position
    }
}
