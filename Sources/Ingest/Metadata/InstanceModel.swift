// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import NIOCore

/// What an instance says of itself, in the DICOM JSON model (PS3.18 annex F).
enum InstanceModel {
    /// Bulk data up to this many bytes are in the model; fetching them one by one would cost more.
    private static let inlineByteCount = 1024

    /// All elements but the bulk data, which are named by URLs below `root`.
    static func json(
        of instance: StoredInstance,
        _ reader: HeaderReader,
        _ root: ServiceRoot
    ) async throws(RetrieveFailure) -> ByteBuffer {
        let header = try await reader.header(of: instance)
        var dataSet = header.dataSet
        // Its place, without bytes.
        if let (tag, vr) = header.pixelData { dataSet.set(DataElement(tag: tag, vr: vr, value: .bytes(ByteBuffer()))) }
        let url = root.url(
            study: instance.studyInstanceUID,
            series: instance.seriesInstanceUID,
            instance: instance.sopInstanceUID
        )
        var model = ByteBufferAllocator().buffer(capacity: 8 << 10)
        DICOMJSON.write(dataSet, into: &model) { path, element in
            if element.tag.isPixelData, path.steps.isEmpty { return "\(url)/bulkdata/\(path.urlPath)" }
            let byteCount = element.value.bytes?.readableBytes ?? .max
            return byteCount <= Self.inlineByteCount ? nil : "\(url)/bulkdata/\(path.urlPath)"
        }
        return model
    }
}
