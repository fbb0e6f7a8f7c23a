// SPDX-License-Identifier: Apache-2.0

import Checksums
import ColdStore
import NIOCore
import Testing

/// The examples of "Authenticating Requests: Using the Authorization Header" in the Amazon S3 API reference.
@Suite struct S3SignerTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let name: String
        let request: S3Request
        let path: String
        let signature: String
        let signedHeaders: String
        var testDescription: String { name }
    }

    static let examples = [
        Example(
            name: "GET Object",
            request: S3Request(method: "GET", key: nil, fields: [(name: "Range", value: "bytes=0-9")]),
            path: "/test.txt",
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            signedHeaders: "host;range;x-amz-content-sha256;x-amz-date"
        ),
        Example(
            name: "PUT Object",
            request: S3Request(
                method: "PUT",
                key: nil,
                fields: [
                    (name: "Date", value: "Fri, 24 May 2013 00:00:00 GMT"),
                    (name: "x-amz-storage-class", value: "REDUCED_REDUNDANCY"),
                ],
                body: ByteBuffer(string: "Welcome to Amazon S3.")
            ),
            path: "/test%24file.text",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            signedHeaders: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class"
        ),
        Example(
            name: "GET Bucket Lifecycle",
            request: S3Request(method: "GET", key: nil, query: [(name: "lifecycle", value: "")]),
            path: "/",
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            signedHeaders: "host;x-amz-content-sha256;x-amz-date"
        ),
        Example(
            name: "GET Bucket (List Objects)",
            request: S3Request(
                method: "GET",
                key: nil,
                query: [(name: "prefix", value: "J"), (name: "max-keys", value: "2")]
            ),
            path: "/",
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            signedHeaders: "host;x-amz-content-sha256;x-amz-date"
        ),
    ]

    @Test(arguments: examples)
    func `the published examples have the published signatures`(example: Example) {
        let credentials = S3Credentials(
            accessKeyID: "AKIAIOSFODNN7EXAMPLE",
            secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        )
        let fields = S3Signer(credentials: credentials, region: "us-east-1").fields(
            for: example.request,
            host: "examplebucket.s3.amazonaws.com",
            path: example.path,
            payloadDigest: SHA256Hasher.digest(of: example.request.body),
            seconds: 1_369_353_600
        )
        #expect(fields.first { $0.name == "x-amz-date" }?.value == "20130524T000000Z")
        #expect(
            fields.last?.value
                == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                + "SignedHeaders=\(example.signedHeaders),Signature=\(example.signature)"
        )
    }

    @Test func `a session's token is signed, too`() {
        let credentials = S3Credentials(accessKeyID: "a", secretAccessKey: "b", sessionToken: "c")
        let fields = S3Signer(credentials: credentials, region: "r").fields(
            for: S3Request(method: "GET", key: nil),
            host: "h",
            path: "/",
            payloadDigest: SHA256Hasher.digest(of: ByteBuffer()),
            seconds: 0
        )
        #expect(fields.contains { $0.name == "x-amz-security-token" && $0.value == "c" })
        #expect(fields.last?.value.contains("x-amz-date;x-amz-security-token") == true)
    }

    @Test func `a lock ends so many days after the object is begun`() throws {
        let lock: ObjectLock = try #require(ObjectLock("compliance:366"))
        let options = S3WriteOptions(storageClass: "COLD", lock: lock)
        let fields = options.fields(at: 1_709_164_800).map { "\($0.name): \($0.value)" }
        #expect(
            fields == [
                "x-amz-storage-class: COLD", "x-amz-object-lock-mode: COMPLIANCE",
                "x-amz-object-lock-retain-until-date: 2025-03-01T00:00:00Z", "x-amz-sdk-checksum-algorithm: SHA256",
            ]
        )
    }

    @Test(arguments: [
        (0, "19700101T000000Z"), (951_782_400, "20000229T000000Z"), (951_868_799, "20000229T235959Z"),
        (1_709_164_800, "20240229T000000Z"), (4_107_542_399, "21000228T235959Z"), (4_107_542_400, "21000301T000000Z"),
        (1_735_689_599, "20241231T235959Z"), (-1, "19691231T235959Z"),
    ])
    func `times are those of the calendar`(seconds: Int64, text: String) {
        #expect(S3Time(seconds: seconds).text == text)
        #expect(S3Time(seconds: seconds).day == String(text.prefix(8)))
        #expect(S3Time(seconds: seconds).extendedText.filter { $0 != "-" && $0 != ":" } == text)
    }

    @Test func `what is signed is escaped as Amazon does`() {
        #expect(S3Signer.escaped("aZ09-._~") == "aZ09-._~")
        #expect(S3Signer.escaped("a b/ä+=") == "a%20b%2F%C3%A4%2B%3D")
        #expect(S3Signer.query([(name: "b", value: "2"), (name: "a", value: "")]) == "a=&b=2")
    }

    @Test func `checksums are in base64`() {
        let digest = SHA256Hasher.digest(of: ByteBuffer())
        #expect(digest.base64 == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    }
}
