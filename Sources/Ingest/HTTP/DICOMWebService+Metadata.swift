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
        return Response(status: .ok, headers: [.contentType: "application/dicom+json"], body: body)
    }

    /// One instance in the DICOM JSON model.
    private static func model(
        of instance: StoredInstance,
        _ reader: HeaderReader,
        _ root: ServiceRoot
    ) async throws -> ByteBuffer {
        let dataSet = try await reader.dataSet(of: instance)
        let url = root.url(
            study: instance.studyInstanceUID,
            series: instance.seriesInstanceUID,
            instance: instance.sopInstanceUID
        )
        var model = ByteBufferAllocator().buffer(capacity: 8 << 10)
        DICOMJSON.write(dataSet, into: &model) { path, element in
            let byteCount = element.value.bytes?.readableBytes ?? .max
            return byteCount <= Self.inlineByteCount ? nil : "\(url)/bulkdata/\(path.urlPath)"
        }
        return model
    }

    /// Bulk data up to this many bytes are in the model; fetching them one by one would cost more.
    private static let inlineByteCount = 1024

    /// One bulk data value that the metadata refer to (PS3.18 §10.4.1.1.5); pixel data are retrieved as instances.
    func bulkData(of item: DICOMWebItem, _ path: [String], _ exchange: Exchange) async throws -> Response {
        let accepted = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: [.multipartOctetStream, .singleOctetStream]
        )
        guard let instance = try await retrieve.instances(of: item).first else {
            throw DICOMWebError(.notFound, "nothing of that name is stored here")
        }
        let dataSet = try await HeaderReader(records: retrieve.records).dataSet(of: instance)
        guard let value = Self.value(at: path, in: dataSet) else {
            throw DICOMWebError(.notFound, "the instance has no bulk data there")
        }
        if accepted.first?.representation == .singleOctetStream {
            return Response(
                status: .ok,
                headers: [.contentType: "application/octet-stream"],
                body: ResponseBody(byteBuffer: value)
            )
        }
        var random = SystemRandomNumberGenerator()
        var writer = MultipartWriter(
            boundary: MultipartBoundary(using: &random),
            partType: "application/octet-stream"
        )
        var body = writer.head(byteCount: value.readableBytes)
        body.writeImmutableBuffer(value)
        body.writeImmutableBuffer(writer.end())
        return Response(
            status: .ok,
            headers: [.contentType: writer.contentType],
            body: ResponseBody(byteBuffer: body)
        )
    }

    /// The bytes of an element by its path, little endian as PS3.18 §8.7.3.2 wants uncompressed bulk data.
    private static func value(at path: [String], in dataSet: DataSet) -> ByteBuffer? {
        guard let first = path.first, first.utf8.count == 8, let raw = UInt32(first, radix: 16) else { return nil }
        let tag = Tag(rawValue: raw)
        guard path.count > 1 else {
            guard let element = dataSet[tag], let bytes = element.value.bytes else { return nil }
            return dataSet.encoding.isBigEndian ? bytes.swapped(every: element.vr.wordByteCount) : bytes
        }
        let items = dataSet.items(tag)
        guard let index = Int(path[1]), items.indices.contains(index) else { return nil }
        return value(at: Array(path.dropFirst(2)), in: items[index])
    }
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
