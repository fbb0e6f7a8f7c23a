// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// What a server answered, and what follows from it.
package struct S3Answer: Sendable {
    package let status: Int
    /// Names in lowercase.
    package var fields: [String: String] = [:]
    package var body = ByteBuffer()

    package init(status: Int, fields: [String: String] = [:], body: ByteBuffer = ByteBuffer()) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// What to do with an answer.
    package enum Verdict: Hashable, Sendable {
        case success
        /// Ask again, after a while.
        case again(ColdStoreError)
        case failure(ColdStoreError)
    }

    /// Judges the answer; `what` names the request in messages.
    ///
    /// Source: "Error responses" of the Amazon S3 API reference. With `mayHoldError` a 200 may hold an error, too: S3 begins
    /// to answer before it has put the parts of an object together.
    package func verdict(_ what: String, mayHoldError: Bool) -> Verdict {
        let isSuccess = (200..<300).contains(status)
        guard !isSuccess || mayHoldError else { return .success }
        let error = S3Document(body).flatMap { $0.root.name == "Error" ? $0.root : nil }
        let code = error?.child("Code")?.text ?? ""
        if isSuccess, error == nil { return .success }
        let said = [String(status), code, error?.child("Message")?.text ?? ""]
            .map { Self.printable($0) }.filter { !$0.isEmpty }
        let message = "\(what): the server says \(said.joined(separator: " "))"
        switch (status, code) {
        case (_, "SlowDown"), (_, "InternalError"), (_, "ServiceUnavailable"), (_, "RequestTimeout"),
            (_, "OperationAborted"), (_, "ConditionalRequestConflict"), (408, _), (429, _), (500, _), (502...504, _):
            return .again(ColdStoreError(.unavailable, message))
        case (_, "NoSuchBucket"):
            return .failure(ColdStoreError(.unavailable, "\(message); there is no such bucket on this server"))
        case (_, "InvalidObjectState"):
            return .failure(ColdStoreError(.offline, "\(message); it has to be restored from its archive class first"))
        case (_, "RestoreAlreadyInProgress"): return .failure(ColdStoreError(.exists, message))
        case (_, "QuotaExceeded"), (507, _): return .failure(ColdStoreError(.full, message))
        case (412, _): return .failure(ColdStoreError(.exists, message))
        case (404, _): return .failure(ColdStoreError(.notFound, message))
        case (401, _), (403, _):
            return .failure(
                ColdStoreError(.denied, "\(message); check credentials, bucket policy and this host's clock")
            )
        case (300..<400, _):
            let region = fields["x-amz-bucket-region"].map { ": it is \(Self.printable($0))" } ?? ""
            return .failure(
                ColdStoreError(.invalid, "\(message); the bucket is elsewhere, check region and endpoint\(region)")
            )
        default: return .failure(ColdStoreError(.failed, message))
        }
    }
}

extension S3Answer {
    /// What a server's text has at most in our messages.
    private static let maximumTextByteCount = 200

    /// A server's text as it may be shown: printable ASCII, and not too much of it.
    private static func printable(_ text: String) -> String {
        let bytes = text.utf8.prefix(maximumTextByteCount).map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: "?") }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// How long to wait before a request is made again.
package struct S3Backoff: Hashable, Sendable {
    /// Requests, the first included.
    package var maximumAttemptCount = 6
    package var base = Duration.milliseconds(200)
    package var maximum = Duration.seconds(20)

    package init() {}

    /// A random time up to twice the last one's bound, so that many clients spread; `nil` when it is enough.
    ///
    /// `attempt` is how many were made.
    package func delay(after attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration? {
        guard attempt < maximumAttemptCount else { return nil }
        let bound = min(maximum, base * (1 << min(attempt - 1, 20)))
        return bound * Double.random(in: 0...1, using: &generator)
    }
}
