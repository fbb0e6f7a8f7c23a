// SPDX-License-Identifier: Apache-2.0

import ColdStore
import Testing

@Suite struct ObjectKeyTests {
    @Test(arguments: ["a", "3fa/1.2.840.1/5f0c.zip", "A-b_c.d", "a/b/c/d/e/f/g/h"])
    func `what may be a path and needs no escaping is a key`(text: String) {
        #expect(ObjectKey(text)?.string == text)
    }

    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", ".a", "a/.b", "a b", "a%b", "ä", "a\u{0}", "a\\b",
        "a?b",
        "a/b/c/d/e/f/g/h/i", String(repeating: "a", count: 256),
        Array(repeating: "a", count: 200).joined(separator: "/"),
    ])
    func `anything else is none`(text: String) {
        #expect(ObjectKey(text) == nil)
    }
}
