// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Hummingbird
import Logging
import ReplicationTransport

extension DICOMWebService {
    /// An instance and the transfer syntax it goes out in.
    private struct Delivery: Sendable {
        let instance: StoredInstance
        let choice: SyntaxChoice
        /// Whether the client takes it as it is stored, should it not decode.
        let allowsStored: Bool
        /// Whether it goes out native when its pixels can't be encoded as asked: one of several must not end the answer.
        let allowsNative: Bool
    }

    /// Bytes of instances that go out in one write, about.
    private static let gatheredByteCount = 1 << 20

    /// Retrieves a study, series or instance (PS3.18 §10.4), in parts or as an archive.
    func instances(of item: DICOMWebItem, _ exchange: Exchange) async throws -> Response {
        let offers: [Representation] =
            item.instance == nil ? [.multipartDICOM, .zip] : [.multipartDICOM, .singleDICOM, .zip]
        let accepted = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: offers
        )
        let found = try await retrieve.instances(of: item)
        for candidate in accepted {
            let deliveries = found.compactMap { delivery(of: $0, candidate, allowsNative: item.instance == nil) }
            guard let first = deliveries.first else { continue }
            let tag = Self.tag(of: deliveries, candidate.representation, exchange)
            // What is not all of it has no tag, and is always sent.
            let isComplete = deliveries.count == found.count
            if isComplete, let response = exchange.notModified(tag) { return response }
            // The first instance is made ready before the status line goes out, so that its failure is the response's.
            let lease = await BudgetLease.acquire(
                retrieve.cost(of: first.instance, choice: first.choice),
                of: retrieve.memory
            )
            let isReadWhole = retrieve.isReadWhole(first.instance, first.choice)
            let prepared = try await withTaskExecutorPreference(isReadWhole ? nil : globalConcurrentExecutor) {
                try await prepare(first)
            }
            if candidate.representation == .singleDICOM {
                return single(prepared, lease, exchange.cacheHeaders(tag))
            }
            let isZip = candidate.representation == .zip
            let framing: InstanceFraming =
                isZip
                ? .zip(ZipWriter())
                : .multipart(
                    MultipartWriter(boundary: MultipartBoundary(tag), partType: "application/dicom"),
                    exchange.root
                )
            let rest = Array(deliveries.dropFirst())
            // Checksums of an archive are too much work for an event loop.
            let executor = isZip ? nil : exchange.executor
            var response = several((first.instance, prepared), lease, rest: rest, framing, executor)
            if isZip {
                let name = item.instance ?? item.series ?? item.study
                response.headers[.contentDisposition] = "attachment; filename=\"\(name).zip\""
            }
            if isComplete {
                for field in exchange.cacheHeaders(tag) { response.headers.append(field) }
            } else {
                // PS3.18 table 10.4.3-1: 206 when some of the instances can't be sent as asked.
                response.status = .partialContent
                response.headers.addWarning(
                    "\(found.count - deliveries.count) instances can't be sent in an acceptable transfer syntax"
                )
            }
            return response
        }
        throw DICOMWebError(
            .notAcceptable,
            "nothing here can be sent in the transfer syntaxes asked for; transfer-syntax=* gives what is stored"
        )
    }

    private static func tag(
        of deliveries: [Delivery],
        _ representation: Representation,
        _ exchange: Exchange
    ) -> EntityTag {
        var tag = RepresentationTag("instances", exchange)
        tag.add(representation.text)
        for delivery in deliveries {
            tag.add(delivery.instance)
            switch delivery.choice {
            case .stored: tag.add("")
            case .converted(let uid): tag.add(uid)
            }
            tag.add(delivery.allowsStored ? 1 : 0)
        }
        return tag.tag
    }

    private func delivery(
        of instance: StoredInstance,
        _ accepted: AcceptedRepresentation,
        allowsNative: Bool
    ) -> Delivery? {
        let choice = accepted.choice(stored: instance.storedTransferSyntax) { retrieve.canConvert(instance, to: $0) }
        guard let choice else { return nil }
        let takesStored = accepted.syntaxes.contains { demand in
            switch demand.kind {
            case .unspecified, .asStored: !accepted.refused.contains(instance.storedTransferSyntax)
            case .uid(let uid): uid == instance.storedTransferSyntax
            }
        }
        return Delivery(instance: instance, choice: choice, allowsStored: takesStored, allowsNative: allowsNative)
    }

    private func prepare(_ delivery: Delivery) async throws(RetrieveFailure) -> PreparedInstance {
        do throws(RetrieveFailure) {
            return try await retrieve.prepare(
                delivery.instance,
                choice: delivery.choice,
                allowsStored: delivery.allowsStored
            )
        } catch {
            let native = AcceptedRepresentation.explicitVRLittleEndian
            guard error.kind == .notAcceptable, delivery.allowsNative, case .converted(let uid) = delivery.choice,
                uid != native
            else { throw error }
            return try await retrieve.prepare(delivery.instance, choice: .converted(native), allowsStored: true)
        }
    }

    private func startPreparing(
        _ delivery: Delivery,
        _ completion: @escaping @Sendable (Result<(StoredInstance, PreparedInstance), any Error>) -> Void
    ) -> RunningWork {
        let instance = delivery.instance
        guard retrieve.isReadWhole(instance, delivery.choice) else {
            return RunningWork.task({ (instance, try await self.prepare(delivery)) }, completion)
        }
        return retrieve.startReading(instance) { result in
            completion(result.map { (instance, $0) }.mapError { $0 })
        }
    }

    /// `application/dicom`: the instance is the body.
    private func single(_ prepared: PreparedInstance, _ lease: BudgetLease, _ cache: HTTPFields) -> Response {
        let type = MediaType(
            "application",
            "dicom",
            [.init(name: "transfer-syntax", value: prepared.transferSyntax)]
        )
        let body = ResponseBody.leavingLoop(contentLength: prepared.byteCount) { writer in
            let output = BodyWriter(writer)
            try await sending {
                try await prepared.send(output.write)
                try await output.finish()
            }
            lease.release()
        }
        var headers = cache
        headers[.contentType] = type.description
        return Response(status: .ok, headers: headers, body: body)
    }

    /// Several instances, made ready a few ahead and sent one after another.
    private func several(
        _ first: (instance: StoredInstance, prepared: PreparedInstance),
        _ lease: BudgetLease,
        rest: [Delivery],
        _ framing: InstanceFraming,
        _ executor: EventLoopExecutor?
    ) -> Response {
        let contentType = framing.contentType
        var framing = framing
        let head = framing.begin(first.instance, first.prepared)
        var contentLength: Int?
        if rest.isEmpty, case .multipart = framing {
            contentLength = head.readableBytes + first.prepared.byteCount + framing.finish().readableBytes
        }
        let begun = framing
        let body = ResponseBody(contentLength: contentLength) { writer in
            let output = BodyWriter(writer)
            var framing = begun
            // Small instances that are there already go out together, in one write: each is a change of thread.
            var gathered: [ByteBuffer] = []
            var gatheredByteCount = 0
            func flush() async throws {
                defer { (gathered, gatheredByteCount) = ([], 0) }
                try await output.write(gathered)
            }
            func send(_ prepared: PreparedInstance, after head: ByteBuffer, isNextReady: Bool) async throws {
                gathered.append(head)
                if case .whole(let buffers) = prepared.content {
                    framing.add(buffers)
                    gathered += buffers
                    gathered.append(framing.end())
                    gatheredByteCount += prepared.byteCount
                    if isNextReady, gatheredByteCount < Self.gatheredByteCount { return }
                    return try await flush()
                }
                try await flush()
                try await prepared.send { buffers in
                    framing.add(buffers)
                    try await output.write(buffers)
                }
                gathered.append(framing.end())
            }
            let isStored = rest.allSatisfy { retrieve.isReadWhole($0.instance, $0.choice) }
            try await sending {
                try await send(first.prepared, after: head, isNextReady: false)
                // Whoever holds something must not wait for more.
                lease.release()
                let elsewhere = globalConcurrentExecutor
                try await withTaskExecutorPreference(isStored ? executor ?? elsewhere : elsewhere) {
                    try await OrderedPrefetch.forEach(
                        rest,
                        window: isStored ? retrieve.configuration.storedWindow : retrieve.configuration.window,
                        aheadLimit: isStored ? retrieve.configuration.storedAheadByteCount : .max,
                        budget: retrieve.memory,
                        cost: { retrieve.cost(of: $0.instance, choice: $0.choice) },
                        begin: startPreparing,
                        consume: { found, isNextReady in
                            let head = framing.begin(found.0, found.1)
                            try await send(found.1, after: head, isNextReady: isNextReady)
                        }
                    )
                }
                gathered.append(framing.finish())
                try await flush()
                try await output.finish()
            }
        }
        return Response(status: .ok, headers: [.contentType: contentType], body: body)
    }

    /// Runs the sending of a body; what fails then can only end the connection, so it is logged here.
    func sending(_ send: () async throws -> Void) async throws {
        do {
            try await send()
        } catch let error as RetrieveFailure {
            logger.error("a response was broken off", metadata: ["reason": "\(error)"])
            throw error
        }
    }
}
