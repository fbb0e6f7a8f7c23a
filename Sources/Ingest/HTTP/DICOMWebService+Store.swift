// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
package import Hummingbird
import Logging

extension DICOMWebService {
    /// Largest instance that is taken by HTTP: it is held in memory while it is stored.
    static let maximumStoredByteCount = 64 << 20
    /// Store transactions at once; further ones wait before their body is read.
    static let maximumStoreCount = 8

    /// Answers a POST: STOW-RS (PS3.18 §10.5), errors included.
    package func storeResponse(to request: Request) async -> Response {
        do {
            guard let receiver else { throw DICOMWebError(.notFound, "this node does not take instances by HTTP") }
            return try await store(request, receiver)
        } catch {
            return errorResponse(error)
        }
    }

    private func store(_ request: Request, _ receiver: any InstanceReceiver) async throws -> Response {
        let study: String?
        switch try DICOMWebResource(path: request.uri.path.dropFirst(Self.path.utf8.count)) {
        case .collection(.study, _, _): study = nil
        case .item(.study(let uid), .whole): study = uid
        default: throw DICOMWebError(.notFound, "instances are stored to /studies or /studies/{study}")
        }
        let exchange = try exchange(of: request)
        _ = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: [.dicomJSON]
        )
        let type = try MediaType(parsing: request.headers[.contentType] ?? "")
        guard type.parameter("type").map({ $0.lowercased() == "application/dicom" }) ?? true else {
            throw DICOMWebError(.unsupportedMediaType, "only parts of type application/dicom are taken")
        }
        var reader = try MultipartReader(contentType: type)
        let place = await BudgetLease.acquire(1, of: storePlaces)
        defer { place.release() }

        var response = StoreInstancesResponse()
        var part: ByteBuffer?
        var isTooLarge = false
        var studies: Set<String> = []
        for try await bytes in request.body {
            reader.append(bytes)
            while let event = try reader.next() {
                switch event {
                case .partBegins:
                    part = ByteBuffer()
                    isTooLarge = false
                case .bytes(let bytes):
                    if (part?.readableBytes ?? 0) + bytes.readableBytes > Self.maximumStoredByteCount {
                        isTooLarge = true
                        part = ByteBuffer()
                    }
                    if !isTooLarge { part?.writeImmutableBuffer(bytes) }
                case .partEnds:
                    guard let file = part else { continue }
                    part = nil
                    if isTooLarge {
                        logger.warning("an instance is too large to be stored by HTTP")
                        response.add(.init(reason: StoreInstancesResponse.outOfResources))
                    } else {
                        let outcome = await receiver.receive(file, study: study)
                        studies.insert(outcome.studyInstanceUID)
                        add(outcome, exchange.root, to: &response)
                    }
                case .end: break
                }
            }
        }
        try reader.finish()
        guard !response.stored.isEmpty || !response.failed.isEmpty else {
            throw DICOMWebError(.badRequest, "the body has no parts")
        }
        var headers: HTTPFields = [.contentType: "application/dicom+json"]
        if response.status == 503 { headers[.retryAfter] = "5" }
        let one = study ?? (studies.count == 1 ? studies.first : nil)
        let url = one.flatMap { $0.isEmpty ? nil : exchange.root.url(study: $0) }
        return Response(
            status: HTTPResponse.Status(code: response.status),
            headers: headers,
            body: ResponseBody(byteBuffer: response.json(studyURL: url))
        )
    }

    private func add(_ outcome: ReceivedOutcome, _ root: ServiceRoot, to response: inout StoreInstancesResponse) {
        switch outcome.result {
        case .stored:
            response.add(
                .init(
                    sopClassUID: outcome.sopClassUID,
                    sopInstanceUID: outcome.sopInstanceUID,
                    retrieveURL: root.url(
                        study: outcome.studyInstanceUID,
                        series: outcome.seriesInstanceUID,
                        instance: outcome.sopInstanceUID
                    )
                )
            )
        case .failed(let reason, let text):
            logger.warning("instance not stored", metadata: ["reason": "\(text)", "protocol": "STOW-RS"])
            response.add(
                .init(sopClassUID: outcome.sopClassUID, sopInstanceUID: outcome.sopInstanceUID, reason: reason)
            )
        }
    }
}
