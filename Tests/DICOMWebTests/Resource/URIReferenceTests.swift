// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Testing

@Suite("References to URIs")
struct URIReferenceTests {
    /// RFC 3986 §5.4.1 and §5.4.2, without the cases of `;` and of fragments of the base.
    @Test(
        "A reference is resolved against its base",
        arguments: [
            ("g:h", "g:h"), ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"), ("//g", "http://g"), ("?y", "http://a/b/c/d?y"), ("g?y", "http://a/b/c/g?y"),
            ("", "http://a/b/c/d?q"), (".", "http://a/b/c/"), ("./", "http://a/b/c/"), ("..", "http://a/b/"),
            ("../", "http://a/b/"), ("../g", "http://a/b/g"), ("../..", "http://a/"), ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"), ("/./g", "http://a/g"), ("/../g", "http://a/g"), ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"), ("./g/.", "http://a/b/c/g/"), ("g/../h", "http://a/b/c/h"),
            ("http:g", "http:g"), ("HTTP://A/x", "http://a/x"), ("urn:uuid:1-2", "urn:uuid:1-2"),
            ("1/2:3", "http://a/b/c/1/2:3"), ("g?y/../x", "http://a/b/c/g?y/../x"),
        ]
    )
    func resolution(_ text: String, _ expected: String) {
        #expect(URIReference(text).resolved(against: URIReference("http://a/b/c/d?q")).description == expected)
    }

    @Test("A base without a path, and one that is no URI")
    func bases() {
        #expect(URIReference("g").resolved(against: URIReference("http://a")).description == "http://a/g")
        #expect(URIReference("g").resolved(against: URIReference("")).description == "g")
        #expect(URIReference("../g").resolved(against: URIReference("x/y")).description == "g")
    }
}
