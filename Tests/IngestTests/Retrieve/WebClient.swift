// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Foundation
import Hummingbird
import Ingest
import Logging
import NIOConcurrencyHelpers
import NIOCore
import PixelCodecs
import Testing

/// Takes a body as the server's connection would.
struct CollectingWriter: ResponseBodyWriter {
    let bytes = NIOLockedValueBox(ByteBuffer())
    let isFinished = NIOLockedValueBox(false)

    mutating func write(_ buffer: ByteBuffer) async throws {
        bytes.withLockedValue { _ = $0.writeImmutableBuffer(buffer) }
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
        isFinished.withLockedValue { $0 = true }
    }
}

struct Answer {
    let status: Int
    let headers: HTTPFields
    let body: ByteBuffer
    let isFinished: Bool

    var text: String { String(buffer: body) }
    var contentType: String { headers[.contentType] ?? "" }

    func json<Value>(_ type: Value.Type = Value.self) throws -> Value {
        try #require(try JSONSerialization.jsonObject(with: Data(body.readableBytesView)) as? Value)
    }

    /// The bodies of the parts, and the syntaxes that their headers name.
    func parts() throws -> [(syntax: String, bytes: ByteBuffer)] {
        var reader = try MultipartReader(contentType: MediaType(parsing: contentType))
        reader.append(body)
        var parts: [(syntax: String, bytes: ByteBuffer)] = []
        while let event = try reader.next() {
            switch event {
            case .partBegins(let headers):
                let type = try MediaType(parsing: headers.first { $0.name == "content-type" }?.value ?? "")
                parts.append((type.parameter("transfer-syntax") ?? "", ByteBuffer()))
            case .bytes(let bytes): parts[parts.count - 1].bytes.writeImmutableBuffer(bytes)
            case .partEnds, .end: break
            }
        }
        try reader.finish()
        return parts
    }
}

struct Client {
    let archive = MemoryArchive()
    let service: DICOMWebService
    let retrieve: RetrieveService
    let seriesMetadata: SeriesMetadata?

    init(
        _ pool: CodecPool,
        publicURL: String? = nil,
        crossOrigin: CrossOriginPolicy = CrossOriginPolicy(),
        version: String = "1",
        cache: SeriesMetadataCache? = nil,
        _ change: (inout RetrieveService.Configuration) -> Void = { _ in }
    ) {
        var configuration = RetrieveService.Configuration()
        change(&configuration)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        retrieve = RetrieveService(
            directory: archive,
            records: archive,
            codecs: pool,
            configuration: configuration,
            logger: logger
        )
        let retrieve = retrieve
        seriesMetadata = cache.map {
            SeriesMetadata(
                retrieve: retrieve,
                cache: $0,
                arrivals: SeriesArrivals(),
                version: version,
                logger: logger
            )
        }
        service = DICOMWebService(
            retrieve: retrieve,
            seriesMetadata: seriesMetadata,
            publicURL: publicURL,
            crossOrigin: crossOrigin,
            version: version,
            logger: logger
        )
    }

    func get(
        _ path: String,
        accept: String? = nil,
        method: HTTPRequest.Method = .get,
        headers: HTTPFields = [:]
    ) async throws -> Answer {
        var head = HTTPRequest(method: method, scheme: "http", authority: "pacs:8042", path: "/dicom-web/" + path)
        head.headerFields = headers
        if let accept { head.headerFields[.accept] = accept }
        let response = await service.answer(Request(head: head, body: RequestBody(buffer: ByteBuffer())))
        let writer = CollectingWriter()
        var isFinished = true
        do {
            try await response.body.write(writer)
            isFinished = writer.isFinished.withLockedValue { $0 }
        } catch is RetrieveFailure {
            isFinished = false
        }
        let body = writer.bytes.withLockedValue { $0 }
        if isFinished, method != .head, let count = response.headers[.contentLength] {
            #expect(count == "\(body.readableBytes)")
        }
        return Answer(
            status: Int(response.status.code),
            headers: response.headers,
            body: body,
            isFinished: isFinished
        )
    }
}
