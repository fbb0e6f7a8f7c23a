// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Checksums
import Glibc
import NIOCore
import NIOHTTP1

/// Makes requests to one bucket: signs them, and makes them again where that can help.
struct S3Client: Sendable {
    let location: S3Location
    let signer: S3Signer
    let http: HTTPClient
    var backoff = S3Backoff()
    /// For one attempt, its answer included: a part of 128 MiB at 1 MB a second.
    var timeout = TimeAmount.seconds(180)

    /// The answer to a request, which is one that may be made twice.
    ///
    /// `attempts` counts what was sent, for those to whom it matters that a success may have gone unheard. What is thrown is
    /// what the answer means, or `.unavailable` when none came.
    func send(_ request: S3Request, attempts: inout Int) async throws(ColdStoreError) -> S3Answer {
        let what = "\(request.method) \(location.name)\(request.key?.string ?? "")"
        let digest = SHA256Hasher.digest(of: request.body)
        var generator = SystemRandomNumberGenerator()
        while true {
            attempts += 1
            let problem: ColdStoreError
            switch await attempt(request, digest, what) {
            case .success(let answer):
                switch answer.verdict(what, mayHoldError: request.method == "POST") {
                case .success: return answer
                case .failure(let error): throw error
                case .again(let error): problem = error
                }
            case .failure(let error): problem = error
            }
            guard let delay = backoff.delay(after: attempts, using: &generator) else { throw problem }
            do {
                try await Task.sleep(for: delay)
            } catch {
                throw ColdStoreError(.unavailable, "\(what) was cancelled")
            }
        }
    }

    func send(_ request: S3Request) async throws(ColdStoreError) -> S3Answer {
        var attempts = 0
        return try await send(request, attempts: &attempts)
    }

    private func attempt(
        _ request: S3Request,
        _ digest: SHA256Digest,
        _ what: String
    ) async -> Result<S3Answer, ColdStoreError> {
        let path = location.path(of: request.key)
        let query = request.query.isEmpty ? "" : "?\(S3Signer.query(request.query))"
        let scheme = location.isEncrypted ? "https" : "http"
        var message = HTTPClientRequest(url: "\(scheme)://\(location.host)\(path)\(query)")
        message.method = HTTPMethod(rawValue: request.method)
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let signature = signer.fields(
            for: request,
            host: location.host,
            path: path,
            payloadDigest: digest,
            seconds: Int64(now.tv_sec)
        )
        for field in request.fields + signature { message.headers.add(name: field.name, value: field.value) }
        if request.method == "PUT" || request.method == "POST" { message.body = .bytes(request.body) }
        do {
            let response = try await http.execute(message, timeout: timeout)
            var answer = S3Answer(status: Int(response.status.code))
            for (name, value) in response.headers { answer.fields[name.lowercased()] = value }
            answer.body = try await Self.body(of: response, limit: request.maximumAnswerByteCount)
            return .success(answer)
        } catch {
            return .failure(ColdStoreError(.unavailable, "\(what): no answer from \(location.host): \(error)"))
        }
    }

    /// All of an answer, in one buffer that does not have to grow.
    private static func body(of response: HTTPClientResponse, limit: Int) async throws -> ByteBuffer {
        let announced = response.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
        var body = ByteBufferAllocator().buffer(capacity: max(0, min(announced, limit)))
        for try await part in response.body {
            guard part.readableBytes <= limit - body.readableBytes else { throw NIOTooManyBytesError(maxBytes: limit) }
            body.writeImmutableBuffer(part)
        }
        return body
    }
}
