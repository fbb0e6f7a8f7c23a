// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The DICOM JSON model (PS3.18 annex F), written straight into a buffer as UTF-8.
public enum DICOMJSON {
    /// Answers where the bytes of an element can be had; nil to have them inline.
    ///
    /// Asked for each element of OB, OD, OF, OL, OV, OW and UN that is not empty, and always for Pixel Data, so that a
    /// placeholder without bytes may stand in its place.
    public typealias BulkDataURI = (TagPath, DataElement) -> String?

    /// Appends one JSON object; elements come in tag order, group lengths are left out.
    public static func write(
        _ dataSet: DataSet,
        into buffer: inout ByteBuffer,
        bulkDataURI: BulkDataURI? = nil
    ) {
        var encoder = JSONEncoder(output: buffer)
        // The encoder is to be the only owner, or each write would copy.
        buffer = ByteBuffer()
        withoutActuallyEscaping(bulkDataURI ?? { _, _ in nil }) { uri in
            encoder.write(dataSet, steps: [], bulkDataURI: uri)
        }
        buffer = encoder.output
    }

    /// Appends `text` as a JSON string, quotes included.
    public static func writeString(_ text: String, into buffer: inout ByteBuffer) {
        var encoder = JSONEncoder(output: buffer)
        buffer = ByteBuffer()
        encoder.write(string: text)
        buffer = encoder.output
    }
}
