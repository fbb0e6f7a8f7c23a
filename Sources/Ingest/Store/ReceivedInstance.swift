// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import NIOCore

/// A data set as it arrived, read as far as storing needs: everything before Pixel Data, and where Pixel Data is.
package struct ReceivedInstance: Sendable {
    /// The data set's bytes, or its first part when it lies in the spool.
    let head: ByteBuffer
    /// Bytes of the whole data set; of `head` while the rest still arrives.
    private(set) var byteCount: Int
    let transferSyntax: TransferSyntax
    /// What the reader made of it, up to Pixel Data.
    let reading: ReadResult
    /// The elements before Pixel Data (all elements when there is none).
    var header: DataSet { reading.dataSet }
    var pixelData: PixelDataLocation? { reading.pixelData }

    let sopClassUID: String
    let sopInstanceUID: String
    let studyInstanceUID: String
    let seriesInstanceUID: String

    /// Reads and checks a data set.
    ///
    /// `head` is the whole data set, or its first part: then ``arrived(byteCount:)`` follows. Of a deflated data set in
    /// the spool, `inflated` is given and `head` may be empty. `expectedSOPClass` and `expectedSOPInstance` are what the
    /// request named, or empty.
    package init(
        head: ByteBuffer,
        isWhole: Bool = true,
        transferSyntax: TransferSyntax,
        expectedSOPClass: String,
        expectedSOPInstance: String
    ) throws(StoreFailure) {
        try self.init(
            head: head,
            isWhole: isWhole,
            inflated: transferSyntax.isDeflated ? try InflatedHead(of: head) : nil,
            transferSyntax: transferSyntax,
            expectedSOPClass: expectedSOPClass,
            expectedSOPInstance: expectedSOPInstance
        )
    }

    init(
        head: ByteBuffer,
        isWhole: Bool,
        inflated: InflatedHead?,
        transferSyntax: TransferSyntax,
        expectedSOPClass: String,
        expectedSOPInstance: String
    ) throws(StoreFailure) {
        self.head = head
        self.byteCount = head.readableBytes
        self.transferSyntax = transferSyntax
        do throws(DICOMError) {
            self.reading =
                if let inflated {
                    // PS3.5 §A.5: what is deflated is Explicit VR Little Endian.
                    try Self.readHeader(
                        inflated.bytes,
                        isWhole: inflated.isWhole,
                        transferSyntax: .explicitVRLittleEndian
                    )
                } else {
                    try Self.readHeader(head, isWhole: isWhole, transferSyntax: transferSyntax)
                }
        } catch {
            throw StoreFailure(.malformed, "\(error)")
        }
        if isWhole { try Self.check(reading.pixelData, within: byteCount, transferSyntax) }
        self.sopClassUID = try Self.uid(.sopClassUID, "SOP Class UID (0008,0016)", in: reading.dataSet)
        self.sopInstanceUID = try Self.uid(.sopInstanceUID, "SOP Instance UID (0008,0018)", in: reading.dataSet)
        self.studyInstanceUID = try Self.uid(.studyInstanceUID, "Study Instance UID (0020,000D)", in: reading.dataSet)
        self.seriesInstanceUID = try Self.uid(
            .seriesInstanceUID,
            "Series Instance UID (0020,000E)",
            in: reading.dataSet
        )
        // PS3.4 §B.2.3: the data set must be of the SOP Class that the request names (A900H).
        guard expectedSOPClass.isEmpty || expectedSOPClass == sopClassUID else {
            throw StoreFailure(.mismatch, "the data set's SOP Class is not the request's")
        }
        guard expectedSOPInstance.isEmpty || expectedSOPInstance == sopInstanceUID else {
            throw StoreFailure(.mismatch, "the data set's SOP Instance UID is not the request's")
        }
    }

    /// The rest of the data set has arrived: so many bytes it has in all.
    mutating func arrived(byteCount: Int) throws(StoreFailure) {
        try Self.check(pixelData, within: byteCount, transferSyntax)
        self.byteCount = byteCount
    }

    private static func check(
        _ pixelData: PixelDataLocation?,
        within byteCount: Int,
        _ transferSyntax: TransferSyntax
    ) throws(StoreFailure) {
        guard let pixelData, let count = pixelData.byteCount, !transferSyntax.isDeflated else { return }
        guard pixelData.valueOffset + count <= byteCount else {
            throw StoreFailure(
                .malformed,
                "Pixel Data claims \(count) bytes, the data set ends \(byteCount) bytes from its start"
            )
        }
    }

    /// The elements before Pixel Data; of a first part, those before a value that goes beyond it.
    private static func readHeader(
        _ head: ByteBuffer,
        isWhole: Bool,
        transferSyntax: TransferSyntax
    ) throws(DICOMError) -> ReadResult {
        do throws(DICOMError) {
            return try DataSetReader.readHeader(head, transferSyntax: transferSyntax)
        } catch {
            guard !isWhole, error.code == .truncated, !transferSyntax.isDeflated else { throw error }
            if let tag = error.topLevelTag {
                return try DataSetReader.read(head, transferSyntax: transferSyntax, stopBefore: tag)
            }
            guard let offset = error.offset, let whole = head.slice(at: 0..<offset) else { throw error }
            return try DataSetReader.readHeader(whole, transferSyntax: transferSyntax)
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

extension DICOMError {
    /// The element of the data set itself, not of an item, in which the error is.
    fileprivate var topLevelTag: Tag? {
        // A path begins with (gggg,eeee).
        tagPath.flatMap { Tag(hexadecimal: $0.prefix(11)) }
    }
}
