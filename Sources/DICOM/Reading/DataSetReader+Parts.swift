// SPDX-License-Identifier: Apache-2.0

public import NIOCore

extension DataSetReader {
    /// Reads a data set as far as it can be read.
    ///
    /// - Returns: the data set up to the top-level element in which reading failed, and why it failed; all of it and
    ///   nil when nothing did. Without a result when the bytes are no data set at all.
    public static func readAvailable(
        _ bytes: ByteBuffer,
        transferSyntax: TransferSyntax,
        limits: ReadLimits = .standard
    ) -> (result: ReadResult?, failure: DICOMError?) {
        do throws(DICOMError) {
            return (try self.read(bytes, transferSyntax: transferSyntax, limits: limits), nil)
        } catch {
            return (self.readPart(bytes, transferSyntax, limits, before: error), error)
        }
    }

    /// What stands before the top-level element that `error` is about.
    static func readPart(
        _ bytes: ByteBuffer,
        _ transferSyntax: TransferSyntax,
        _ limits: ReadLimits,
        before error: DICOMError
    ) -> ReadResult? {
        guard error.code != .invalidDeflateStream else { return nil }
        let path = error.tagPath ?? ""
        // A part that can't be read either has been reported already.
        if path.hasPrefix(Tag.pixelData.description) || path.isEmpty,
            let header = try? self.readHeader(bytes, transferSyntax: transferSyntax, limits: limits)
        {
            return header
        }
        guard let tag = Tag(hexadecimal: path.prefix(11)) else { return nil }
        return try? self.read(bytes, transferSyntax: transferSyntax, limits: limits, stopBefore: tag)
    }
}
