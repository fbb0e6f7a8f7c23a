// SPDX-License-Identifier: Apache-2.0

package import Checksums
package import NIOCore

/// One request to a bucket, before it is signed.
package struct S3Request: Sendable {
    package typealias Field = (name: String, value: String)

    package let method: String
    /// `nil` for the bucket.
    package let key: ObjectKey?
    package var query: [(name: String, value: String)]
    package var fields: [(name: String, value: String)]
    package var body: ByteBuffer
    /// The most that is taken of the answer's body.
    package var maximumAnswerByteCount: Int

    package init(
        method: String,
        key: ObjectKey?,
        query: [(name: String, value: String)] = [],
        fields: [(name: String, value: String)] = [],
        body: ByteBuffer = ByteBuffer(),
        maximumAnswerByteCount: Int = Self.maximumDocumentByteCount
    ) {
        self.method = method
        self.key = key
        self.query = query
        self.fields = fields
        self.body = body
        self.maximumAnswerByteCount = maximumAnswerByteCount
    }

    /// Of an answer in XML: a list of 1,000 keys has less than 2 MiB.
    package static let maximumDocumentByteCount = 8 << 20
    /// Keys of one page of a list: the most that S3 gives.
    static let maximumPageCount = 1000
    /// What names the upload that an object is from, so that an answer that was lost is found out.
    static let uploadField = "x-amz-meta-varve-upload"

    static func head(_ key: ObjectKey?) -> S3Request { S3Request(method: "HEAD", key: key) }

    static func get(_ key: ObjectKey, _ range: Range<UInt64>) -> S3Request {
        S3Request(
            method: "GET",
            key: key,
            fields: [(name: "range", value: "bytes=\(range.lowerBound)-\(range.upperBound - 1)")],
            maximumAnswerByteCount: max(range.count, maximumDocumentByteCount)
        )
    }

    static func list(prefix: String, after: String?, continuation: String?, limit: Int) -> S3Request {
        var request = S3Request(method: "GET", key: nil)
        request.query = [(name: "list-type", value: "2"), (name: "max-keys", value: String(limit))]
        if !prefix.isEmpty { request.query.append((name: "prefix", value: prefix)) }
        if let continuation {
            request.query.append((name: "continuation-token", value: continuation))
        } else if let after {
            request.query.append((name: "start-after", value: after))
        }
        return request
    }

    static func put(_ key: ObjectKey, _ body: ByteBuffer, upload: String, options: [Field]) -> S3Request {
        var request = S3Request(method: "PUT", key: key, body: body)
        request.fields = [
            (name: "if-none-match", value: "*"), (name: uploadField, value: upload),
            (name: "x-amz-checksum-sha256", value: SHA256Hasher.digest(of: body).base64),
        ]
        request.fields += options
        return request
    }

    static func createMultipart(_ key: ObjectKey, upload: String, options: [Field]) -> S3Request {
        var request = S3Request(method: "POST", key: key, query: [(name: "uploads", value: "")])
        request.fields = [(name: uploadField, value: upload), (name: "x-amz-checksum-algorithm", value: "SHA256")]
        request.fields += options
        return request
    }

    static func part(_ key: ObjectKey, _ body: ByteBuffer, number: Int, of uploadID: String) -> S3Request {
        S3Request(
            method: "PUT",
            key: key,
            query: [(name: "partNumber", value: String(number)), (name: "uploadId", value: uploadID)],
            fields: [(name: "x-amz-checksum-sha256", value: SHA256Hasher.digest(of: body).base64)],
            body: body
        )
    }

    static func complete(_ key: ObjectKey, _ parts: [S3Part], of uploadID: String) -> S3Request {
        var text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        for part in parts {
            text += "<Part><PartNumber>\(part.number)</PartNumber><ETag>\(S3Document.escaped(part.entityTag))</ETag>"
            text += "<ChecksumSHA256>\(part.digest.base64)</ChecksumSHA256></Part>"
        }
        text += "</CompleteMultipartUpload>"
        return S3Request(
            method: "POST",
            key: key,
            query: [(name: "uploadId", value: uploadID)],
            fields: [(name: "if-none-match", value: "*")],
            body: ByteBuffer(string: text)
        )
    }

    static func abort(_ key: ObjectKey, _ uploadID: String) -> S3Request {
        S3Request(method: "DELETE", key: key, query: [(name: "uploadId", value: uploadID)])
    }

    /// Removes one version of an object where the bucket keeps versions, else the object.
    static func delete(_ key: ObjectKey, version: String? = nil) -> S3Request {
        S3Request(method: "DELETE", key: key, query: version.map { [(name: "versionId", value: $0)] } ?? [])
    }

    /// The uploads of keys that begin with `prefix` which were not finished: the first thousand.
    static func uploads(prefix: String) -> S3Request {
        S3Request(
            method: "GET",
            key: nil,
            query: [
                (name: "uploads", value: ""), (name: "max-uploads", value: String(maximumPageCount)),
                (name: "prefix", value: prefix),
            ]
        )
    }

    /// Locks an object that is there.
    static func retain(_ key: ObjectKey, _ retention: S3Retention) -> S3Request {
        let text =
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>\(retention.mode)</Mode>"
            + "<RetainUntilDate>\(retention.end)</RetainUntilDate></Retention>"
        let body = ByteBuffer(string: text)
        return S3Request(
            method: "PUT",
            key: key,
            query: [(name: "retention", value: "")],
            fields: [
                (name: "x-amz-checksum-sha256", value: SHA256Hasher.digest(of: body).base64),
                (name: "x-amz-sdk-checksum-algorithm", value: "SHA256"),
            ],
            body: body
        )
    }

    /// What the bucket says of locks; `.notFound` when it was made without.
    static var lockConfiguration: S3Request {
        S3Request(method: "GET", key: nil, query: [(name: "object-lock", value: "")])
    }
}

/// A part that the server has.
struct S3Part: Hashable, Sendable {
    let number: Int
    let entityTag: String
    let digest: SHA256Digest
}

extension SHA256Digest {
    /// Base64, as S3 writes checksums.
    package var base64: String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        // 32 bytes and one zero are 44 digits, of which the last is padding.
        let bytes = self.bytes + [0]
        var digits: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
            for shift in [18, 12, 6, 0] { digits.append(alphabet[group >> shift & 63]) }
        }
        return String(decoding: digits.dropLast(), as: UTF8.self) + "="
    }
}
