// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Testing

@Suite("Entity tags, content codings, origins")
struct HeaderTests {
    @Test(
        "If-None-Match names a tag, weakly or not, in any place of a list",
        arguments: [
            (["\"ab12\""], true), (["W/\"ab12\""], true), (["\"x\", \"ab12\""], true), (["\"x\"", "W/\"ab12\""], true),
            (["*"], true), ([" * "], true), ([], false), (["\"ab1\""], false), (["ab12"], false), (["\"ab12"], false),
            (["\"\", \"ab123\""], false), (["\"ab12-gzip\""], false), (["\"x,\" , \"ab12\""], true),
        ]
    )
    func ifNoneMatch(headers: [String], isNamed: Bool) {
        #expect(EntityTag("ab12").isNamed(in: headers) == isNamed)
    }

    @Test("A tag is written in quotes, and gzip has another")
    func tags() {
        #expect("\(EntityTag("ab12"))" == "\"ab12\"")
        #expect(EntityTag("ab12").gzip != EntityTag("ab12"))
        #expect(EntityTag("ab12").gzip.isNamed(in: ["\"ab12-gzip\""]))
    }

    @Test("If-Range takes the strong tag only")
    func ifRange() {
        #expect(EntityTag("ab12").isStrongly(named: "\"ab12\""))
        for other in ["W/\"ab12\"", "\"ab12\", \"x\"", "Sun, 29 Nov 2026 08:00:00 GMT", "*", ""] {
            #expect(!EntityTag("ab12").isStrongly(named: other))
        }
    }

    @Test(
        "Gzip goes to those who ask for it",
        arguments: [
            ([], false), ([""], false), (["gzip"], true), (["GZIP"], true), (["x-gzip"], true),
            (["deflate, br"], false),
            (["deflate, gzip;q=0.5"], true), (["gzip;q=0"], false), (["gzip; q=0.000, *"], false), (["*"], true),
            (["*;q=0"], false), (["identity"], false), (["identity, gzip;q=0.5"], false),
            (["identity;q=0.5, gzip"], true), (["br", "gzip"], true), (["gzip;q=nonsense"], false),
        ]
    )
    func acceptEncoding(headers: [String], takesGzip: Bool) {
        #expect(ContentCoding.takesGzip(headers) == takesGzip)
    }

    @Test("Only configured origins may read")
    func origins() {
        let off = CrossOriginPolicy()
        #expect(off.isOff && !off.varies && off.allowedOrigin(for: "https://a.example") == nil)
        let some = CrossOriginPolicy(origins: ["https://Viewer.example.org", "http://localhost:3000"])
        #expect(some.allowedOrigin(for: "https://viewer.example.org") == "https://viewer.example.org")
        #expect(some.allowedOrigin(for: "http://localhost:3000") == "http://localhost:3000")
        for other in ["http://viewer.example.org", "https://viewer.example.org:8443", "null", "*", "http://localhost"] {
            #expect(some.allowedOrigin(for: other) == nil)
        }
        #expect(some.varies)
        let all = CrossOriginPolicy(origins: ["*"])
        #expect(all.allowedOrigin(for: "null") == "*" && !all.varies)
    }

    @Test("An origin has a scheme and a host, and no path")
    func malformedOrigins() {
        for good in ["*", "https://viewer.example.org", "http://localhost:3000", "http://[::1]:80", "HTTPS://A.B"] {
            #expect(CrossOriginPolicy.problem(with: good) == nil, "\(good)")
        }
        for bad in [
            "", "viewer.example.org", "https://a/", "https://a/b", "ftp://a", "https://", "https:/a", "http://a b",
        ] {
            #expect(CrossOriginPolicy.problem(with: bad) != nil, "\(bad)")
        }
    }
}
