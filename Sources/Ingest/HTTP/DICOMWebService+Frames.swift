// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import Hummingbird

extension DICOMWebService {
    /// Frames of one request: each is in memory until it is sent.
    private static let maximumFrameCount = 1000

    /// Frames of an instance, one a part (PS3.18 §10.4.1.1.6): native, or as they are stored with `transfer-syntax=*`.
    func frames(_ numbers: [Int], of item: DICOMWebItem, _ exchange: Exchange) async throws -> Response {
        let accepted = try Negotiation.accepted(
            headers: exchange.accept,
            parameter: exchange.acceptParameter,
            offers: [.multipartOctetStream, .singleOctetStream]
        )
        guard let instance = try await retrieve.instances(of: item).first else {
            throw DICOMWebError(.notFound, "nothing of that name is stored here")
        }
        guard numbers.count <= Self.maximumFrameCount else {
            throw DICOMWebError(.badRequest, "at most \(Self.maximumFrameCount) frames in one request")
        }
        let native = TransferSyntax.explicitVRLittleEndian.uid.string
        for candidate in accepted {
            let choice = candidate.choice(stored: instance.storedTransferSyntax) { uid in
                uid == native && retrieve.canDecodeFrames(of: instance)
            }
            guard let choice, candidate.representation == .multipartOctetStream || numbers.count == 1 else { continue }
            let frames = try await retrieve.frames(numbers, of: instance, isNative: choice != .stored)
            if candidate.representation == .singleOctetStream, let frame = frames.first {
                let type = "application/octet-stream; transfer-syntax=\(frame.transferSyntax)"
                return Response(
                    status: .ok,
                    headers: [.contentType: type],
                    body: ResponseBody(byteBuffer: frame.bytes)
                )
            }
            return multipart(frames, numbers, of: instance, exchange.root)
        }
        throw DICOMWebError(
            .notAcceptable,
            "the frames can't be sent in the transfer syntaxes asked for; transfer-syntax=* gives what is stored"
        )
    }

    private func multipart(
        _ frames: [FrameReader.Frame],
        _ numbers: [Int],
        of instance: StoredInstance,
        _ root: ServiceRoot
    ) -> Response {
        let url = root.url(
            study: instance.studyInstanceUID,
            series: instance.seriesInstanceUID,
            instance: instance.sopInstanceUID
        )
        var random = SystemRandomNumberGenerator()
        var writer = MultipartWriter(
            boundary: MultipartBoundary(using: &random),
            partType: "application/octet-stream"
        )
        let contentType = writer.contentType
        var pieces: [ByteBuffer] = []
        for (frame, number) in zip(frames, numbers) {
            pieces.append(
                writer.head(
                    transferSyntax: frame.transferSyntax,
                    location: "\(url)/frames/\(number)",
                    byteCount: frame.bytes.readableBytes
                )
            )
            pieces.append(frame.bytes)
        }
        pieces.append(writer.end())
        let content = pieces
        let body = ResponseBody(contentLength: content.reduce(0) { $0 + $1.readableBytes }) { writer in
            let output = BodyWriter(writer)
            try await output.write(content)
            try await output.finish()
        }
        return Response(status: .ok, headers: [.contentType: contentType], body: body)
    }
}
