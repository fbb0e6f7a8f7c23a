// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Hummingbird
import Logging

extension DICOMWebService {
    /// Store transactions at once; further ones wait before their body is read.
    static let maximumStoreCount = 8
    /// Store transactions of metadata and bulk data at once, besides: their metadata are in memory.
    static let maximumDescribedStoreCount = 2

    /// Answers a POST: STOW-RS (PS3.18 §10.5), errors included.
    func storeResponse(to request: Request) async -> Response {
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
        let form = try Self.form(type)
        var reader = try MultipartReader(contentType: type)
        let place = await BudgetLease.acquire(1, of: form == .metadata ? describedStorePlaces : storePlaces)
        defer { place.release() }

        var response = StoreInstancesResponse()
        var studies: Set<String> = []
        func answer(_ outcome: ReceivedOutcome) {
            studies.insert(outcome.studyInstanceUID)
            add(outcome, exchange.root, to: &response)
        }
        switch form {
        case .instances: try await receiveParts(of: request, &reader, receiver, study: study, answer)
        case .metadata:
            let reception = MetadataReception(
                receiver: receiver,
                study: study,
                url: exchange.root.url + "/studies" + (study.map { "/\($0)" } ?? ""),
                limits: describedStoreLimits
            )
            try await receiveDescribed(of: request, reader, reception)
            for outcome in try await reception.finish() { answer(outcome) }
        }
        guard !response.stored.isEmpty || !response.failed.isEmpty else {
            throw DICOMWebError(.badRequest, "the body has no instances")
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

    /// The two forms of a store transaction (PS3.18 table 10.5.1-1).
    private enum Form {
        /// Each part an instance.
        case instances
        /// The first part describes the instances, the others are their bulk data.
        case metadata
    }

    private static func form(_ type: DICOMWeb.MediaType) throws(DICOMWebError) -> Form {
        switch type.parameter("type")?.lowercased() ?? "application/dicom" {
        case "application/dicom": return .instances
        case "application/dicom+json": return .metadata
        case "application/dicom+xml":
            throw DICOMWebError(
                .unsupportedMediaType,
                "metadata are not taken as XML; send them as JSON (type=\"application/dicom+json\")"
            )
        default:
            throw DICOMWebError(
                .unsupportedMediaType,
                "only parts of type application/dicom are taken, or metadata in application/dicom+json with bulk data"
            )
        }
    }

    /// Reads the body and stores part by part.
    private func receiveParts(
        of request: Request,
        _ reader: inout MultipartReader,
        _ receiver: any InstanceReceiver,
        study: String?,
        _ answer: (ReceivedOutcome) -> Void
    ) async throws {
        var part: PartReception?
        do {
            for try await bytes in request.body {
                reader.append(bytes)
                while let event = try reader.next() {
                    switch event {
                    case .partBegins: part = PartReception(receiver: receiver, study: study)
                    case .bytes(let bytes): await part?.append(bytes)
                    case .partEnds:
                        guard let outcome = await part?.finish() else { continue }
                        part = nil
                        answer(outcome)
                    case .end: break
                    }
                }
            }
            try reader.finish()
        } catch {
            await part?.cancel()
            throw error
        }
    }

    /// Reads metadata and bulk data, and stores when all are there; what has come is given up with the reception.
    private func receiveDescribed(
        of request: Request,
        _ reader: MultipartReader,
        _ reception: MetadataReception
    ) async throws {
        var reader = reader
        for try await bytes in request.body {
            reader.append(bytes)
            while let event = try reader.next() { try await reception.take(event) }
        }
        try reader.finish()
    }

    private func add(_ outcome: ReceivedOutcome, _ root: ServiceRoot, to response: inout StoreInstancesResponse) {
        switch outcome.result {
        case .stored: response.add(stored(outcome, root, warning: nil))
        case .storedWithWarning(let reason): response.add(stored(outcome, root, warning: reason))
        case .failed(let reason, let text):
            logger.warning("instance not stored", metadata: ["reason": "\(text)", "protocol": "STOW-RS"])
            response.add(
                .init(sopClassUID: outcome.sopClassUID, sopInstanceUID: outcome.sopInstanceUID, reason: reason)
            )
        }
    }

    private func stored(
        _ outcome: ReceivedOutcome,
        _ root: ServiceRoot,
        warning: UInt16?
    ) -> StoreInstancesResponse.Stored {
        StoreInstancesResponse.Stored(
            sopClassUID: outcome.sopClassUID,
            sopInstanceUID: outcome.sopInstanceUID,
            retrieveURL: root.url(
                study: outcome.studyInstanceUID,
                series: outcome.seriesInstanceUID,
                instance: outcome.sopInstanceUID
            ),
            warningReason: warning
        )
    }
}
