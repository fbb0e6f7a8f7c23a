// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Hummingbird

extension DICOMWebService {
    /// One bulk data value that the metadata refer to (PS3.18 §10.4.1.1.5), or a range of it.
    func bulkData(of item: DICOMWebItem, _ path: [String], _ exchange: Exchange) async throws -> Response {
        let accepted = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: [.multipartOctetStream, .singleOctetStream]
        )
        guard let instance = try await retrieve.instances(of: item).first else {
            throw DICOMWebError(.notFound, "nothing of that name is stored here")
        }
        if path.count == 1, let tag = Self.tag(path[0]), tag.isPixelData {
            return try await pixelData(of: instance, tag, item, accepted, exchange)
        }
        let isSingle = accepted.first?.representation == .singleOctetStream
        let reply = OctetReply(instance, path, isSingle: isSingle, isNative: true, exchange)
        if let response = exchange.notModified(reply.tag) { return response }
        let lease = await BudgetLease.acquire(
            min(instance.storedByteCount, retrieve.configuration.wholeByteCount),
            of: retrieve.memory
        )
        let dataSet = try await HeaderReader(records: retrieve.records).dataSet(of: instance)
        guard let value = Self.value(at: path[...], in: dataSet) else {
            throw DICOMWebError(.notFound, "the instance has no bulk data there")
        }
        return octets(reply, byteCount: value.readableBytes, lease, exchange) { range, write in
            let start = value.readerIndex + range.lowerBound
            try await write(value.getSlice(at: start, length: range.count).map { [$0] } ?? [])
        }
    }

    /// The value of Pixel Data: native as one stream of bytes, or as it is stored, a frame a part.
    private func pixelData(
        of instance: StoredInstance,
        _ tag: Tag,
        _ item: DICOMWebItem,
        _ accepted: [AcceptedRepresentation],
        _ exchange: Exchange
    ) async throws -> Response {
        let native = TransferSyntax.explicitVRLittleEndian.uid.string
        let isEncapsulated = TransferSyntax.known(instance.storedTransferSyntax)?.isEncapsulated ?? false
        for candidate in accepted {
            let choice = candidate.choice(stored: instance.storedTransferSyntax) { uid in
                uid == native && retrieve.canDecodeFrames(of: instance)
            }
            guard let choice else { continue }
            if choice == .stored, isEncapsulated {
                let layout = try await retrieve.frameReader.layout(of: instance)
                guard candidate.representation == .multipartOctetStream || layout.frameCount == 1 else { continue }
                return try await frames(Array(1...layout.frameCount), of: item, exchange)
            }
            let isSingle = candidate.representation == .singleOctetStream
            let reply = OctetReply(instance, [tag.hexadecimal], isSingle: isSingle, isNative: true, exchange)
            if let response = exchange.notModified(reply.tag) { return response }
            let layout = try await retrieve.frameReader.layout(of: instance)
            let lease = await BudgetLease.acquire(layout.cost, of: retrieve.memory)
            let value = try await retrieve.frameReader.value(layout)
            return octets(reply, byteCount: value.byteCount, lease, exchange) { range, write in
                try await value.send(range, write)
            }
        }
        throw DICOMWebError(
            .notAcceptable,
            "the pixel data can't be sent in the transfer syntaxes asked for; transfer-syntax=* gives what is stored"
        )
    }

    /// What is known of the answer before its bytes are.
    private struct OctetReply {
        let tag: EntityTag
        let isSingle: Bool
        /// Where the value is, for the part's header.
        let location: String

        init(_ instance: StoredInstance, _ path: [String], isSingle: Bool, isNative: Bool, _ exchange: Exchange) {
            let location =
                exchange.root.url(
                    study: instance.studyInstanceUID,
                    series: instance.seriesInstanceUID,
                    instance: instance.sopInstanceUID
                ) + "/bulkdata/" + path.joined(separator: "/")
            var tag = RepresentationTag("bulkdata", exchange)
            tag.add(instance)
            tag.add(location)
            tag.add(isSingle ? 1 : 0)
            self.tag = tag.tag
            self.isSingle = isSingle
            self.location = location
        }
    }

    /// Bytes of known number: as the body, of which a range can be had, or as the one part of a body.
    private func octets(
        _ reply: OctetReply,
        byteCount: Int,
        _ lease: BudgetLease,
        _ exchange: Exchange,
        send: @escaping @Sendable (Range<Int>, ([ByteBuffer]) async throws -> Void) async throws -> Void
    ) -> Response {
        var headers = exchange.cacheHeaders(reply.tag)
        guard reply.isSingle else {
            var writer = MultipartWriter(
                boundary: MultipartBoundary(reply.tag),
                partType: "application/octet-stream"
            )
            let head = writer.head(location: reply.location, byteCount: byteCount)
            let end = writer.end()
            headers[.contentType] = writer.contentType
            let count = head.readableBytes + byteCount + end.readableBytes
            let body = ResponseBody.leavingLoop(contentLength: count) { writer in
                let output = BodyWriter(writer)
                try await sending {
                    try await output.write([head])
                    if byteCount > 0 { try await send(0..<byteCount, output.write) }
                    try await output.write([end])
                    try await output.finish()
                }
                lease.release()
            }
            return Response(status: .ok, headers: headers, body: body)
        }
        headers[.contentType] = "application/octet-stream"
        headers[.acceptRanges] = "bytes"
        var status = HTTPResponse.Status.ok
        var wanted = 0..<byteCount
        switch exchange.range(of: byteCount, reply.tag) {
        case .whole: break
        case .part(let range):
            wanted = range
            status = .partialContent
            headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(byteCount)"
        case .unsatisfiable:
            var response = errorResponse(DICOMWebError(.rangeNotSatisfiable, "there are \(byteCount) bytes"))
            response.headers[.contentRange] = "bytes */\(byteCount)"
            return response
        }
        let range = wanted
        let body = ResponseBody.leavingLoop(contentLength: range.count) { writer in
            let output = BodyWriter(writer)
            try await sending {
                if !range.isEmpty { try await send(range, output.write) }
                try await output.finish()
            }
            lease.release()
        }
        return Response(status: status, headers: headers, body: body)
    }

    private static func tag(_ text: String) -> Tag? {
        guard text.utf8.count == 8, let raw = UInt32(text, radix: 16) else { return nil }
        return Tag(rawValue: raw)
    }

    /// The bytes of an element by its path, little endian as PS3.18 §8.7.3.2 wants uncompressed bulk data.
    private static func value(at path: ArraySlice<String>, in dataSet: DataSet) -> ByteBuffer? {
        guard let first = path.first, let tag = tag(first) else { return nil }
        let rest = path.dropFirst()
        guard let number = rest.first else {
            guard let element = dataSet[tag], let bytes = element.value.bytes else { return nil }
            return dataSet.encoding.isBigEndian ? bytes.swapped(every: element.vr.wordByteCount) : bytes
        }
        let items = dataSet.items(tag)
        guard let index = Int(number), items.indices.contains(index) else { return nil }
        return value(at: rest.dropFirst(), in: items[index])
    }
}

extension DICOMWebService.Exchange {
    /// What the `Range` header asks for; all of it when the client has begun with other bytes (`If-Range`).
    fileprivate func range(of byteCount: Int, _ tag: EntityTag) -> ByteRange {
        if let ifRange, !tag.isStrongly(named: ifRange) { return .whole }
        return ByteRange(rangeHeader, byteCount: byteCount)
    }
}
