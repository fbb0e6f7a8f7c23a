// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import NIOCore

/// A data set as it arrived, read as far as storing needs: everything before Pixel Data, and where Pixel Data is.
package struct ReceivedInstance: Sendable {
    /// The data set's bytes, or its first part when it lies in the spool.
    let head: ByteBuffer
    /// Bytes of the whole data set.
    let byteCount: Int
    let transferSyntax: TransferSyntax
    /// The elements before Pixel Data (all elements when there is none).
    let header: DataSet
    let pixelData: PixelDataLocation?

    let sopClassUID: String
    let sopInstanceUID: String
    let studyInstanceUID: String
    let seriesInstanceUID: String

    /// Reads and checks a data set.
    ///
    /// `head` is the whole data set, or its first part (`byteCount` says how long the whole is). `expectedSOPClass` and
    /// `expectedSOPInstance` are what the request named, or empty.
    package init(
        head: ByteBuffer,
        byteCount: Int,
        transferSyntax: TransferSyntax,
        expectedSOPClass: String,
        expectedSOPInstance: String
    ) throws(StoreFailure) {
        self.head = head
        self.byteCount = byteCount
        self.transferSyntax = transferSyntax
        do throws(DICOMError) {
            let result = try DataSetReader.readHeader(head, transferSyntax: transferSyntax)
            self.header = result.dataSet
            self.pixelData = result.pixelData
        } catch {
            throw StoreFailure(.malformed, "\(error)")
        }
        if let pixelData, let count = pixelData.byteCount, !transferSyntax.isDeflated {
            guard pixelData.valueOffset + count <= byteCount else {
                throw StoreFailure(
                    .malformed,
                    "Pixel Data claims \(count) bytes, the data set ends \(byteCount) bytes from its start"
                )
            }
        }
        self.sopClassUID = try Self.uid(.sopClassUID, "SOP Class UID (0008,0016)", in: header)
        self.sopInstanceUID = try Self.uid(.sopInstanceUID, "SOP Instance UID (0008,0018)", in: header)
        self.studyInstanceUID = try Self.uid(.studyInstanceUID, "Study Instance UID (0020,000D)", in: header)
        self.seriesInstanceUID = try Self.uid(.seriesInstanceUID, "Series Instance UID (0020,000E)", in: header)
        // PS3.4 §B.2.3: the data set must be of the SOP Class that the request names (A900H).
        guard expectedSOPClass.isEmpty || expectedSOPClass == sopClassUID else {
            throw StoreFailure(.mismatch, "the data set's SOP Class is not the request's")
        }
        guard expectedSOPInstance.isEmpty || expectedSOPInstance == sopInstanceUID else {
            throw StoreFailure(.mismatch, "the data set's SOP Instance UID is not the request's")
        }
    }

    /// A UID that must be there: PS3.3 makes the four of them Type 1, and nothing can be filed without them.
    private static func uid(_ tag: Tag, _ name: String, in header: DataSet) throws(StoreFailure) -> String {
        guard let text = header.string(tag), !text.isEmpty else {
            throw StoreFailure(.malformed, "\(name) is missing or empty")
        }
        guard text.utf8.count <= 64, text.utf8.allSatisfy({ $0 == 0x2E || (0x30...0x39).contains($0) }) else {
            throw StoreFailure(.malformed, "\(name) is not a UID: digits and dots, at most 64")
        }
        return text
    }
}
