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
        var headers = exchange.cacheHeaders(tag, isJSON: true)
        headers[.contentType] = "application/dicom+json"
        var plan = seriesMetadata?.plan(for: item, found) ?? .none
        if case .kept(let key, let byteCount) = plan {
            // Once as it is kept, once with the service's URL in it.
            let lease = await BudgetLease.acquire(2 * byteCount, of: retrieve.memory)
            if let json = await seriesMetadata?.kept(key) {
                return whole(key.located(json, at: exchange.root), lease, headers)
            }
            // It was damaged and is gone: what is made now is kept.
            lease.release()
            plan = seriesMetadata?.plan(for: item, found) ?? .none
        }
        return Response(status: .ok, headers: headers, body: try await metadata(of: found, exchange.root, plan))
    }

    private func whole(_ json: ByteBuffer, _ lease: BudgetLease, _ headers: HTTPFields) -> Response {
        let body = ResponseBody(contentLength: json.readableBytes) { writer in
            let output = BodyWriter(writer)
            try await output.write([json])
            try await output.finish()
            lease.release()
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    /// The array of models, read from the nodes as it is sent, and kept at its end when it is to be.
    private func metadata(
        of found: [StoredInstance],
        _ root: ServiceRoot,
        _ plan: SeriesMetadata.Plan
    ) async throws -> ResponseBody {
        let reader = HeaderReader(records: retrieve.records)
        var recording: SeriesMetadata.Recording?
        if case .record(let begun) = plan { recording = begun }
        let key = recording?.key
        let written = key?.root ?? root
        // The first is read before the status line goes out, so that its failure is the response's.
        var first = ByteBuffer(string: "[")
        if let instance = found.first {
            let model = try await InstanceModel.json(of: instance, reader, written)
            recording?.add(model)
            first.writeImmutableBuffer(key?.located(model, at: root) ?? model)
        }
        let start = first
        let begun = recording
        let rest = Array(found.dropFirst())
        return .leavingLoop { writer in
            let output = BodyWriter(writer)
            var recording = begun
            try await sending {
                try await output.write([start])
                try await OrderedPrefetch.forEach(
                    rest,
                    window: Self.metadataWindow,
                    budget: retrieve.memory,
                    cost: { min($0.storedByteCount, 64 << 10) },
                    make: { try await InstanceModel.json(of: $0, reader, written) },
                    consume: { model in
                        recording?.add(model)
                        let located = key?.located(model, at: root) ?? model
                        try await output.write([ByteBuffer(string: ","), located])
                    }
                )
                try await output.write([ByteBuffer(string: "]")])
                try await output.finish()
            }
            if let recording { await seriesMetadata?.keep(recording) }
        }
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
