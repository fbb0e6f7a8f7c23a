// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Hummingbird

extension DICOMWebService {
    /// Frames of an instance, one a part (PS3.18 §10.4.1.1.6): native, as they are stored with `transfer-syntax=*`, or
    /// encoded as asked for.
    ///
    /// They are read and sent one after another: however many are asked for, one is in memory.
    func frames(_ numbers: [Int], of item: DICOMWebItem, _ exchange: Exchange) async throws -> Response {
        let accepted = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: [.multipartOctetStream, .singleOctetStream]
        )
        guard let instance = try await retrieve.instances(of: item).first, let number = numbers.first else {
            throw DICOMWebError(.notFound, "nothing of that name is stored here")
        }
        // Where there may be much to parse an event loop is no place for it.
        guard instance.storedByteCount > retrieve.configuration.smallByteCount else {
            return try await frames(number, numbers, of: instance, accepted, exchange)
        }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) {
            try await frames(number, numbers, of: instance, accepted, exchange)
        }
    }

    private func frames(
        _ number: Int,
        _ numbers: [Int],
        of instance: StoredInstance,
        _ accepted: [AcceptedRepresentation],
        _ exchange: Exchange
    ) async throws -> Response {
        let native = TransferSyntax.explicitVRLittleEndian.uid.string
        for candidate in accepted {
            let choice = candidate.choice(stored: instance.storedTransferSyntax) { uid in
                (uid == native || Transcoding.codec(for: uid) != nil) && retrieve.canDecodeFrames(of: instance)
            }
            guard let choice, candidate.representation == .multipartOctetStream || numbers.count == 1 else { continue }
            let tag = Self.tag(of: numbers, instance, choice, candidate.representation, exchange)
            if let response = exchange.notModified(tag) { return response }
            let layout = try await retrieve.frameReader.layout(of: instance)
            guard numbers.allSatisfy({ (1...layout.frameCount).contains($0) }) else {
                throw DICOMWebError(.notFound, "the instance has \(layout.frameCount) frames")
            }
            let lease = await BudgetLease.acquire(layout.cost, of: retrieve.memory)
            let source = try await retrieve.frameReader.source(layout)
            // The first is made ready before the status line goes out, so that its failure is the response's.
            let first = try await source.frame(number, choice)
            if candidate.representation == .singleOctetStream {
                let type = "application/octet-stream; transfer-syntax=\(first.transferSyntax)"
                let body = ResponseBody(contentLength: first.bytes.readableBytes) { writer in
                    let output = BodyWriter(writer)
                    try await output.write([first.bytes])
                    try await output.finish()
                    lease.release()
                }
                var headers = exchange.cacheHeaders(tag)
                headers[.contentType] = type
                return Response(status: .ok, headers: headers, body: body)
            }
            let rest = Array(numbers.dropFirst())
            return multipart(first, number, rest: rest, of: instance, exchange, tag, lease) { number in
                try await source.frame(number, choice)
            }
        }
        throw DICOMWebError(
            .notAcceptable,
            "the frames can't be sent in the transfer syntaxes asked for; transfer-syntax=* gives what is stored"
        )
    }

    private static func tag(
        of numbers: [Int],
        _ instance: StoredInstance,
        _ choice: SyntaxChoice,
        _ representation: Representation,
        _ exchange: Exchange
    ) -> EntityTag {
        var tag = RepresentationTag("frames", exchange)
        tag.add(representation.text)
        tag.add(instance)
        tag.add("\(choice)")
        for number in numbers { tag.add(number) }
        return tag.tag
    }

    private func multipart(
        _ first: FrameReader.Frame,
        _ number: Int,
        rest: [Int],
        of instance: StoredInstance,
        _ exchange: Exchange,
        _ tag: EntityTag,
        _ lease: BudgetLease,
        frame: @escaping @Sendable (Int) async throws -> FrameReader.Frame
    ) -> Response {
        let url = exchange.root.url(
            study: instance.studyInstanceUID,
            series: instance.seriesInstanceUID,
            instance: instance.sopInstanceUID
        )
        var writer = MultipartWriter(boundary: MultipartBoundary(tag), partType: "application/octet-stream")
        var headers = exchange.cacheHeaders(tag)
        headers[.contentType] = writer.contentType
        @Sendable func part(
            _ frame: FrameReader.Frame,
            _ number: Int,
            _ writer: inout MultipartWriter
        ) -> [ByteBuffer] {
            let head = writer.head(
                transferSyntax: frame.transferSyntax,
                location: "\(url)/frames/\(number)",
                byteCount: frame.bytes.readableBytes
            )
            return [head, frame.bytes]
        }
        let start = part(first, number, &writer)
        let parts = writer
        let contentLength =
            rest.isEmpty ? (start + [writer.end()]).reduce(0) { $0 + $1.readableBytes } : nil
        let body = ResponseBody(contentLength: contentLength) { writer in
            let output = BodyWriter(writer)
            var parts = parts
            try await sending {
                try await output.write(start)
                for number in rest { try await output.write(part(try await frame(number), number, &parts)) }
                try await output.write([parts.end()])
                try await output.finish()
            }
            lease.release()
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}
