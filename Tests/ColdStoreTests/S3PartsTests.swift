// SPDX-License-Identifier: Apache-2.0

import ColdStore
import NIOCore
import Testing

@Suite struct S3PartsTests {
    private static func location(
        _ url: String,
        endpoint: String? = nil,
        pathStyle: Bool = false
    ) throws(ColdStoreError) -> S3Location {
        try S3Location(url: url, endpoint: endpoint, region: "eu-west-1", usesPathStyle: pathStyle)
    }

    @Test func `a location says host and path`() throws {
        let key = try #require(ObjectKey("3fa/1.2/p.zip"))
        let amazon = try Self.location("s3://bucket/packs/of/")
        #expect(amazon.host == "bucket.s3.eu-west-1.amazonaws.com")
        #expect(amazon.isEncrypted)
        #expect(amazon.path(of: key) == "/packs/of/3fa/1.2/p.zip")
        #expect(amazon.path(of: nil) == "/")
        let own = try Self.location("s3://bucket", endpoint: "http://127.0.0.1:9000/", pathStyle: true)
        #expect(own.host == "127.0.0.1:9000")
        #expect(!own.isEncrypted)
        #expect(own.path(of: key) == "/bucket/3fa/1.2/p.zip")
        #expect(own.path(of: nil) == "/bucket")
        #expect(
            try Self.location("s3://bucket", endpoint: "https://s3.example.org:443").host == "bucket.s3.example.org"
        )
        #expect(
            try Self.location("s3://bucket", endpoint: "http://s3.example.org:443").host == "bucket.s3.example.org:443"
        )
    }

    @Test(
        arguments: [
            ("s3:/bucket", nil), ("s3://", nil), ("s3://ab", nil), ("s3://Bucket", nil), ("s3://bu_cket", nil),
            ("s3://bucket/../x", nil), ("s3://bucket/a b", nil), ("s3://bucket", "s3.example.org"),
            ("s3://bucket", "https://"), ("s3://bucket", "https://host/path"), ("s3://bucket", "https://user@host"),
        ] as [(String, String?)]
    )
    func `what is no location is refused`(url: String, endpoint: String?) {
        let error = #expect(throws: ColdStoreError.self) { try Self.location(url, endpoint: endpoint) }
        #expect(error?.code == .invalid)
    }

    @Test(
        arguments: [
            (0, 8 << 20), (8 << 20, 8 << 20), (9_900 * 8 << 20, 9 << 20), (1 << 40, 106 << 20), (5 << 40, 530 << 20),
        ] as [(UInt64, Int)]
    )
    func `parts are large enough for ten thousand`(byteCount: UInt64, partByteCount: Int) {
        #expect(S3Upload.partByteCount(maximumByteCount: byteCount) == partByteCount)
        #expect(byteCount / UInt64(partByteCount) < 10_000)
    }

    @Test func `no object has more than S3 takes`() {
        #expect(S3Upload.partByteCount(maximumByteCount: 5 << 40 + 1) == nil)
    }

    private static func element(_ text: String) -> S3Document.Element? {
        S3Document(ByteBuffer(string: text))?.root
    }

    @Test func `uploads that were not finished are read`() throws {
        let text = """
            <?xml version="1.0"?><ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Bucket>b</Bucket><Upload><Key>x/1.zip</Key><UploadId>one</UploadId></Upload>
            <Upload><Key>x/1.zip.more</Key><UploadId>two</UploadId></Upload></ListMultipartUploadsResult>
            """
        let found = try #require(S3Document(ByteBuffer(string: text)).flatMap { S3Uploads($0) })
        #expect(found.uploads.map(\.key) == ["x/1.zip", "x/1.zip.more"] && found.uploads.map(\.id) == ["one", "two"])
        for broken in [
            "<ListBucketResult></ListBucketResult>",
            "<ListMultipartUploadsResult><Upload><Key>x</Key></Upload></ListMultipartUploadsResult>",
            "<ListMultipartUploadsResult><Upload><Key>x</Key><UploadId></UploadId></Upload></ListMultipartUploadsResult>",
        ] {
            #expect(S3Document(ByteBuffer(string: broken)).flatMap { S3Uploads($0) } == nil, "\(broken)")
        }
    }

    @Test func `answers are read`() throws {
        let text = """
            <?xml version="1.0" encoding="UTF-8"?>
            <!-- a comment > -->
            <Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>NoSuchKey</Code>
            <Message>a &amp; b &lt;&gt;&quot;&apos; &#65;&#x42;</Message><Empty/><s:Name>x</s:Name></Error>
            """
        let error = try #require(Self.element(text))
        #expect(error.name == "Error")
        #expect(error.child("Code")?.text == "NoSuchKey")
        #expect(error.child("Message")?.text == "a & b <>\"' AB")
        #expect(error.child("Empty")?.text == "")
        #expect(error.child("Name")?.text == "x")
        #expect(Self.element("<a>\(S3Document.escaped("\"<&>\""))</a>")?.text == "\"<&>\"")
    }

    @Test(arguments: [
        "", "text", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a>&b;</a>", "<a>&amp</a>", "<a>&#xD800;</a>", "<>", "<a",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "<!-- ", "<a>\u{FFFD}", "< a></a>",
        String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17),
    ])
    func `what is no answer is none`(text: String) {
        #expect(Self.element(text) == nil)
    }

    @Test func `an answer cut anywhere is none`() {
        let text = "<A><B>x</B><C/><!--y--></A>"
        for count in 0..<text.utf8.count { #expect(Self.element(String(text.prefix(count))) == nil) }
        #expect(S3Document(ByteBuffer(bytes: [0x3C, 0x61, 0x3E, 0xFF, 0x3C, 0x2F, 0x61, 0x3E])) == nil)
    }

    @Test func `a page of a list is read`() throws {
        let text = """
            <ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t=1</NextContinuationToken>\
            <Contents><Key>a/b</Key><Size>12</Size></Contents><Contents><Key>c</Key><Size>0</Size></Contents>\
            </ListBucketResult>
            """
        let page = try #require(S3Document(ByteBuffer(string: text)).flatMap { S3Page($0) })
        #expect(page.objects.map(\.key) == ["a/b", "c"])
        #expect(page.objects.map(\.byteCount) == [12, 0])
        #expect(page.continuation == "t=1")
        for broken in [
            "<Other/>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        ] {
            #expect(S3Document(ByteBuffer(string: broken)).flatMap { S3Page($0) } == nil)
        }
    }

    struct Judged: Sendable, CustomTestStringConvertible {
        let status: Int
        let code: String
        /// `nil` for success.
        let expected: ColdStoreError.Code?
        var isAgain = false
        var testDescription: String { "\(status) \(code)" }
    }

    @Test(arguments: [
        Judged(status: 200, code: "", expected: nil), Judged(status: 206, code: "", expected: nil),
        Judged(status: 204, code: "", expected: nil),
        Judged(status: 200, code: "InternalError", expected: .unavailable, isAgain: true),
        Judged(status: 503, code: "SlowDown", expected: .unavailable, isAgain: true),
        Judged(status: 500, code: "", expected: .unavailable, isAgain: true),
        Judged(status: 429, code: "", expected: .unavailable, isAgain: true),
        Judged(status: 400, code: "RequestTimeout", expected: .unavailable, isAgain: true),
        Judged(status: 409, code: "ConditionalRequestConflict", expected: .unavailable, isAgain: true),
        Judged(status: 404, code: "", expected: .notFound), Judged(status: 404, code: "NoSuchKey", expected: .notFound),
        Judged(status: 404, code: "NoSuchUpload", expected: .notFound),
        Judged(status: 404, code: "NoSuchBucket", expected: .unavailable),
        Judged(status: 403, code: "AccessDenied", expected: .denied),
        Judged(status: 403, code: "InvalidObjectState", expected: .offline),
        Judged(status: 409, code: "RestoreAlreadyInProgress", expected: .exists),
        Judged(status: 403, code: "QuotaExceeded", expected: .full), Judged(status: 507, code: "", expected: .full),
        Judged(status: 412, code: "PreconditionFailed", expected: .exists),
        Judged(status: 301, code: "PermanentRedirect", expected: .invalid),
        Judged(status: 416, code: "InvalidRange", expected: .failed), Judged(status: 501, code: "", expected: .failed),
    ])
    func `answers are judged`(one: Judged) {
        let body = one.code.isEmpty ? "" : "<Error><Code>\(one.code)</Code><Message>m</Message></Error>"
        let answer = S3Answer(status: one.status, body: ByteBuffer(string: body))
        switch answer.verdict("GET x", mayHoldError: true) {
        case .success: #expect(one.expected == nil)
        case .again(let error): #expect(error.code == one.expected && one.isAgain)
        case .failure(let error):
            #expect(error.code == one.expected && !one.isAgain)
            #expect(error.message.hasPrefix("GET x: the server says \(one.status)"))
        }
    }

    @Test func `a server's words are shown shortened, and as text only`() {
        let message = "\u{1B}[31mred ä" + String(repeating: "x", count: 1000)
        let body = ByteBuffer(string: "<Error><Code>AccessDenied</Code><Message>\(message)</Message></Error>")
        guard case .failure(let error) = S3Answer(status: 403, body: body).verdict("GET x", mayHoldError: false) else {
            Issue.record("a refusal is a failure")
            return
        }
        #expect(error.message.contains("?[31mred ??xxx"))
        #expect(error.message.utf8.count < 400)
    }

    @Test func `what was read is not taken for an error`() {
        let body = ByteBuffer(string: "<Error><Code>InternalError</Code></Error>")
        #expect(S3Answer(status: 206, body: body).verdict("GET x", mayHoldError: false) == .success)
    }

    @Test func `waits grow up to a bound, and end`() {
        struct Highest: RandomNumberGenerator {
            mutating func next() -> UInt64 { .max }
        }
        var generator = Highest()
        let backoff = S3Backoff()
        let delays = (1...5).map { backoff.delay(after: $0, using: &generator) ?? .zero }
        for (index, delay) in delays.enumerated() {
            #expect(delay <= .milliseconds(200 * (1 << index)))
            #expect(delay > .milliseconds(199 * (1 << index)))
        }
        #expect(backoff.delay(after: 6, using: &generator) == nil)
        var patient = S3Backoff()
        patient.maximumAttemptCount = 100
        #expect((patient.delay(after: 99, using: &generator) ?? .zero) <= .seconds(20))
    }

    @Test func `credentials come from the environment or a file`() {
        let environment = ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": ""]
        #expect(S3Credentials(environment: environment) == S3Credentials(accessKeyID: "a", secretAccessKey: "b"))
        #expect(S3Credentials(environment: ["AWS_ACCESS_KEY_ID": "a"]) == nil)
        let file = """
            # comment
            [default]
            aws_access_key_id = id1
            aws_secret_access_key=se=cret
            [ other ]
            AWS_ACCESS_KEY_ID = id2
            aws_secret_access_key = s2
            aws_session_token = t2
            [broken]
            aws_access_key_id = id3
            """
        #expect(S3Credentials(file: file) == S3Credentials(accessKeyID: "id1", secretAccessKey: "se=cret"))
        let other = S3Credentials(accessKeyID: "id2", secretAccessKey: "s2", sessionToken: "t2")
        #expect(S3Credentials(file: file, profile: "other") == other)
        #expect(S3Credentials(file: file, profile: "broken") == nil)
        #expect(S3Credentials(file: file, profile: "none") == nil)
        #expect("\(other)" == "S3Credentials")
        var dumped = ""
        dump(other, to: &dumped)
        #expect(!dumped.contains("s2"))
    }
}
