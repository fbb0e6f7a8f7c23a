// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Hummingbird

extension DICOMWebService {
    /// Headers of one request that are read from the nodes at once.
    private static let metadataWindow = 16

    /// Metadata of a study, series or instance (PS3.18 §10.4.1.1.2): all elements but the bulk data, as JSON.
    func metadata(of item: DICOMWebItem, _ exchange: Exchange) async throws -> Response {
        _ = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: [.dicomJSON]
        )
        let found = try await retrieve.instances(of: item)
        var members = RepresentationTag("metadata", exchange)
        for instance in found { members.add(instance) }
        let tag = members.tag
        if let response = exchange.notModified(tag, isJSON: true) { return response }
        let reader = HeaderReader(records: retrieve.records)
        let root = exchange.root
        // The first is read before the status line goes out, so that its failure is the response's.
        var first = ByteBuffer(string: "[")
        if let instance = found.first {
            first.writeImmutableBuffer(try await Self.model(of: instance, reader, root))
        }
        let start = first
        let rest = Array(found.dropFirst())
        let body = ResponseBody { writer in
            let output = BodyWriter(writer)
            try await sending {
                try await output.write([start])
                try await OrderedPrefetch.forEach(
                    rest,
                    window: Self.metadataWindow,
                    budget: retrieve.memory,
                    cost: { min($0.storedByteCount, 64 << 10) },
                    make: { try await Self.model(of: $0, reader, root) },
                    consume: { model in
                        try await output.write([ByteBuffer(string: ","), model])
                    }
                )
                try await output.write([ByteBuffer(string: "]")])
                try await output.finish()
            }
        }
        var headers = exchange.cacheHeaders(tag, isJSON: true)
        headers[.contentType] = "application/dicom+json"
        return Response(status: .ok, headers: headers, body: body)
    }

    /// One instance in the DICOM JSON model.
    private static func model(
        of instance: StoredInstance,
        _ reader: HeaderReader,
        _ root: ServiceRoot
    ) async throws -> ByteBuffer {
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

    /// Bulk data up to this many bytes are in the model; fetching them one by one would cost more.
    private static let inlineByteCount = 1024
}

extension ByteBuffer {
    /// The bytes with those of each word in reverse; what is left over at the end stays.
    func swapped(every count: Int) -> ByteBuffer {
        guard count > 1 else { return self }
        var bytes = Array(readableBytesView)
        for start in stride(from: 0, through: bytes.count - count, by: count) {
            bytes[start..<start + count].reverse()
        }
        return ByteBuffer(bytes: bytes)
    }
}
