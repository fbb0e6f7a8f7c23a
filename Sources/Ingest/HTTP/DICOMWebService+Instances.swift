// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Hummingbird
import Logging

extension DICOMWebService {
    /// An instance and the transfer syntax it goes out in.
    private struct Delivery: Sendable {
        let instance: StoredInstance
        let choice: SyntaxChoice
        /// Whether the client takes it as it is stored, should it not decode.
        let allowsStored: Bool
    }

    /// Retrieves a study, series or instance (PS3.18 §10.4).
    func instances(of item: DICOMWebItem, _ exchange: Exchange) async throws -> Response {
        let offers: [Representation] = item.instance == nil ? [.multipartDICOM] : [.multipartDICOM, .singleDICOM]
        let accepted = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: offers
        )
        let found = try await retrieve.instances(of: item)
        for candidate in accepted {
            let deliveries = found.compactMap { delivery(of: $0, candidate) }
            guard let first = deliveries.first else { continue }
            // The first instance is made ready before the status line goes out, so that its failure is the response's.
            let lease = await BudgetLease.acquire(
                retrieve.cost(of: first.instance, choice: first.choice),
                of: retrieve.memory
            )
            let prepared = try await prepare(first)
            if candidate.representation == .singleDICOM { return single(prepared, lease) }
            return multipart(
                prepared,
                lease,
                rest: Array(deliveries.dropFirst()),
                omitted: found.count - deliveries.count,
                exchange.root,
                first: first.instance
            )
        }
        throw DICOMWebError(
            .notAcceptable,
            "nothing here can be sent in the transfer syntaxes asked for; transfer-syntax=* gives what is stored"
        )
    }

    private func delivery(of instance: StoredInstance, _ accepted: AcceptedRepresentation) -> Delivery? {
        let choice = accepted.choice(stored: instance.storedTransferSyntax) { retrieve.canConvert(instance, to: $0) }
        guard let choice else { return nil }
        let takesStored = accepted.syntaxes.contains { demand in
            switch demand.kind {
            case .unspecified, .asStored: !accepted.refused.contains(instance.storedTransferSyntax)
            case .uid(let uid): uid == instance.storedTransferSyntax
            }
        }
        return Delivery(instance: instance, choice: choice, allowsStored: takesStored)
    }

    private func prepare(_ delivery: Delivery) async throws(RetrieveFailure) -> PreparedInstance {
        try await retrieve.prepare(delivery.instance, choice: delivery.choice, allowsStored: delivery.allowsStored)
    }

    /// `application/dicom`: the instance is the body.
    private func single(_ prepared: PreparedInstance, _ lease: BudgetLease) -> Response {
        let type = MediaType(
            "application",
            "dicom",
            [.init(name: "transfer-syntax", value: prepared.transferSyntax)]
        )
        let body = ResponseBody(contentLength: prepared.byteCount) { writer in
            let output = BodyWriter(writer)
            try await sending {
                try await prepared.send(output.write)
                try await output.finish()
            }
            lease.release()
        }
        return Response(status: .ok, headers: [.contentType: type.description], body: body)
    }

    /// `multipart/related`: one instance a part, made ready a few ahead and sent one after another.
    private func multipart(
        _ prepared: PreparedInstance,
        _ lease: BudgetLease,
        rest: [Delivery],
        omitted: Int,
        _ root: ServiceRoot,
        first: StoredInstance
    ) -> Response {
        var random = SystemRandomNumberGenerator()
        var writer = MultipartWriter(boundary: MultipartBoundary(using: &random), partType: "application/dicom")
        var headers: HTTPFields = [.contentType: writer.contentType]
        // PS3.18 table 10.4.3-1: 206 when some of the instances can't be sent as asked.
        if omitted > 0 {
            headers.addWarning("\(omitted) instances can't be sent in an acceptable transfer syntax")
        }
        let head = Self.head(of: prepared, first, root, &writer)
        let tail = writer.end()
        let contentLength = rest.isEmpty ? head.readableBytes + prepared.byteCount + tail.readableBytes : nil
        let parts = writer
        let body = ResponseBody(contentLength: contentLength) { writer in
            let output = BodyWriter(writer)
            var parts = parts
            try await sending {
                try await output.write([head])
                try await prepared.send(output.write)
                // Whoever holds something must not wait for more.
                lease.release()
                try await OrderedPrefetch.forEach(
                    rest,
                    window: retrieve.configuration.window,
                    budget: retrieve.memory,
                    cost: { retrieve.cost(of: $0.instance, choice: $0.choice) },
                    make: { ($0.instance, try await prepare($0)) },
                    consume: { instance, prepared in
                        try await output.write([Self.head(of: prepared, instance, root, &parts)])
                        try await prepared.send(output.write)
                    }
                )
                try await output.write([tail])
                try await output.finish()
            }
        }
        return Response(status: omitted > 0 ? .partialContent : .ok, headers: headers, body: body)
    }

    private static func head(
        of prepared: PreparedInstance,
        _ instance: StoredInstance,
        _ root: ServiceRoot,
        _ writer: inout MultipartWriter
    ) -> ByteBuffer {
        let url = root.url(
            study: instance.studyInstanceUID,
            series: instance.seriesInstanceUID,
            instance: instance.sopInstanceUID
        )
        return writer.head(
            transferSyntax: prepared.transferSyntax,
            location: url,
            byteCount: prepared.byteCount
        )
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
