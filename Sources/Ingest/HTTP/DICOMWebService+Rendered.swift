// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Hummingbird
import Rendering

extension DICOMWebService {
    /// Rendered studies, series and instances, or frames of one (PS3.18 §10.4.1.1.3).
    func rendered(_ item: DICOMWebItem, frames: [Int]?, _ exchange: Exchange) async throws -> Response {
        let request = try RenderedRequest(query: exchange.query)
        let isOne = item.instance != nil && (frames?.count ?? 1) == 1
        let reply = RenderedReply(request, try Self.representation(exchange, isOne: isOne))
        let found = try await retrieve.instances(of: item)
        var members = RepresentationTag("rendered", exchange)
        reply.add(to: &members)
        for number in frames ?? [] { members.add(number) }
        for instance in found { members.add(instance) }
        let tag = members.tag
        if let response = exchange.notModified(tag) { return response }

        // The first picture is made before the status line goes out, so that its failure is the response's.
        let first = try await first(of: found, reply, isAlone: item.instance != nil) { frames ?? Array(1...$0) }
        let (opened, numbers, number, file, lease) = (
            first.opened, first.numbers, first.number, first.file, first.lease
        )
        var headers = exchange.cacheHeaders(tag)
        for name in request.ignored { headers.addWarning("the parameter \(name) is not supported and was ignored") }
        if reply.isSingle {
            if frames == nil, opened.frameCount > 1 {
                headers.addWarning("this is the first of \(opened.frameCount) frames; multipart/related has them all")
            }
            return Self.single(file, reply, headers)
        }
        var writer = MultipartWriter(boundary: MultipartBoundary(tag), partType: reply.mediaType)
        headers[.contentType] = writer.contentType
        let root = exchange.root
        let start = [Self.head(opened.instance, number, file, root, &writer), file]
        let (rest, parts) = (Array(found.dropFirst(first.index + 1)), writer)
        let body = ResponseBody.leavingLoop { writer in
            let output = BodyWriter(writer)
            var parts = parts
            @Sendable func pictures(
                _ opened: RenderedInstance,
                _ numbers: [Int],
                _ write: (Int, ByteBuffer) async throws -> Void
            ) async throws {
                for number in numbers {
                    try await write(number, try await opened.file(number, reply.form, reply.options))
                }
            }
            try await sending {
                try await output.write(start)
                try await pictures(opened, Array(numbers.dropFirst())) { number, file in
                    try await output.write([Self.head(opened.instance, number, file, root, &parts), file])
                }
                // Whoever holds something must not wait for more.
                lease.release()
                try await OrderedPrefetch.forEach(
                    rest,
                    window: retrieve.configuration.window,
                    budget: retrieve.memory,
                    cost: { min(2 * $0.receivedByteCount, retrieve.configuration.wholeByteCount) },
                    make: { try await picture(of: $0, reply) },
                    consume: { found in
                        guard let (opened, file) = found else { return }
                        try await output.write([Self.head(opened.instance, 1, file, root, &parts), file])
                        try await pictures(opened, Array((1...opened.frameCount).dropFirst())) { number, file in
                            try await output.write([Self.head(opened.instance, number, file, root, &parts), file])
                        }
                    }
                )
                try await output.write([parts.end()])
                try await output.finish()
            }
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    /// One small picture of a study, series, instance or frame (PS3.18 §10.4.1.1.4): of the middle of it.
    func thumbnail(_ item: DICOMWebItem, frames: [Int]?, _ exchange: Exchange) async throws -> Response {
        let request = try RenderedRequest(query: exchange.query, isThumbnail: true)
        let reply = RenderedReply(request, try Self.representation(exchange, isOne: true))
        let found = try await retrieve.instances(of: item)
        var members = RepresentationTag("thumbnail", exchange)
        reply.add(to: &members)
        for number in frames ?? [] { members.add(number) }
        for instance in found { members.add(instance) }
        if let response = exchange.notModified(members.tag) { return response }
        let middle = found.count / 2
        let order = Array(found[middle...] + found[..<middle].reversed())
        let first = try await first(of: order, reply, isAlone: item.instance != nil) { count in
            [frames?.first ?? (count + 1) / 2]
        }
        defer { first.lease.release() }
        let file = first.file
        var headers = exchange.cacheHeaders(members.tag)
        for name in request.ignored { headers.addWarning("the parameter \(name) is not supported and was ignored") }
        guard reply.isSingle else {
            var writer = MultipartWriter(boundary: MultipartBoundary(members.tag), partType: reply.mediaType)
            headers[.contentType] = writer.contentType
            let head = Self.head(first.opened.instance, first.number, file, exchange.root, &writer)
            return Response(status: .ok, headers: headers, body: ResponseBody(contentsOf: [head, file, writer.end()]))
        }
        return Self.single(file, reply, headers)
    }

    /// Instances of a study or series that are tried for one that can be rendered.
    private static let maximumAttemptCount = 16

    private static func representation(
        _ exchange: Exchange,
        isOne: Bool
    ) throws(DICOMWebError) -> Representation {
        let multipart: [Representation] = [.multipartJPEG, .multipartPNG]
        let accepted = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: isOne ? [.jpeg, .png] + multipart : multipart
        )
        return accepted.first?.representation ?? .jpeg
    }

    /// The picture that an answer begins with.
    private struct First: Sendable {
        /// The instance's place among those tried.
        let index: Int
        let opened: RenderedInstance
        /// The frames of the instance that are wanted.
        let numbers: [Int]
        /// The first of them, and its picture.
        let number: Int
        let file: ByteBuffer
        let lease: BudgetLease
    }

    /// Renders the first of the instances that can be; not all objects of a study are images.
    ///
    /// With `isAlone` the instance is the one that was asked for, and its failure the answer. `frames` names the frames
    /// wanted of an instance that has so many.
    private func first(
        of instances: [StoredInstance],
        _ reply: RenderedReply,
        isAlone: Bool,
        frames: (Int) -> [Int]
    ) async throws -> First {
        var last = RetrieveFailure(.notFound, "there is nothing here that can be rendered")
        for (index, instance) in instances.prefix(Self.maximumAttemptCount).enumerated() {
            do throws(RetrieveFailure) {
                let layout = try await retrieve.frameReader.layout(of: instance)
                let lease = await BudgetLease.acquire(layout.renderingCost(reply.options), of: retrieve.memory)
                let opened = try await RenderedInstance(layout, reader: retrieve.frameReader)
                let numbers = frames(opened.frameCount)
                guard let number = numbers.first, numbers.allSatisfy({ (1...opened.frameCount).contains($0) }) else {
                    throw RetrieveFailure(.notFound, "the instance has \(opened.frameCount) frames")
                }
                let file = try await opened.file(number, reply.form, reply.options)
                return First(
                    index: index,
                    opened: opened,
                    numbers: numbers,
                    number: number,
                    file: file,
                    lease: lease
                )
            } catch {
                guard !isAlone, error.kind == .notFound || error.kind == .notAcceptable else { throw error }
                last = error
            }
        }
        throw last
    }

    /// An instance of a series with its first picture; nil when it is none that can be rendered.
    private func picture(
        of instance: StoredInstance,
        _ reply: RenderedReply
    ) async throws(RetrieveFailure) -> (RenderedInstance, ByteBuffer)? {
        do throws(RetrieveFailure) {
            let layout = try await retrieve.frameReader.layout(of: instance)
            let opened = try await RenderedInstance(layout, reader: retrieve.frameReader)
            return (opened, try await opened.file(1, reply.form, reply.options))
        } catch {
            guard error.kind == .notFound || error.kind == .notAcceptable || error.kind == .invalidQuery else {
                throw error
            }
            return nil
        }
    }

    private static func single(_ file: ByteBuffer, _ reply: RenderedReply, _ headers: HTTPFields) -> Response {
        var headers = headers
        headers[.contentType] = reply.mediaType
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: file))
    }

    private static func head(
        _ instance: StoredInstance,
        _ number: Int,
        _ file: ByteBuffer,
        _ root: ServiceRoot,
        _ writer: inout MultipartWriter
    ) -> ByteBuffer {
        let url = root.url(
            study: instance.studyInstanceUID,
            series: instance.seriesInstanceUID,
            instance: instance.sopInstanceUID
        )
        return writer.head(location: "\(url)/frames/\(number)/rendered", byteCount: file.readableBytes)
    }
}
