// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Testing

@Suite("Ranges of bytes")
struct ByteRangeTests {
    @Test(
        "A range of a hundred bytes",
        arguments: [
            (nil, ByteRange.whole), ("", .whole), ("bytes=0-0", .part(0..<1)), ("bytes=0-99", .part(0..<100)),
            ("bytes=10-19", .part(10..<20)), ("BYTES = 10-19", .part(10..<20)), ("bytes=90-", .part(90..<100)),
            ("bytes=90-1000", .part(90..<100)), ("bytes=-10", .part(90..<100)), ("bytes=-1000", .part(0..<100)),
            ("bytes=0-99999999999999999999", .part(0..<100)), ("bytes=-99999999999999999999", .part(0..<100)),
            ("bytes=99-", .part(99..<100)), ("bytes=100-", .unsatisfiable), ("bytes=100-200", .unsatisfiable),
            ("bytes=99999999999999999999-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
            ("bytes=20-10", .whole), ("bytes=0-9,20-29", .whole), ("bytes=a-b", .whole), ("bytes=--5", .whole),
            ("bytes=5", .whole), ("bytes=-", .whole), ("items=0-9", .whole), ("bytes", .whole), ("bytes=+1-2", .whole),
        ] as [(String?, ByteRange)]
    )
    func ranges(header: String?, range: ByteRange) {
        #expect(ByteRange(header, byteCount: 100) == range)
    }

    @Test("Nothing has no ranges")
    func empty() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            #expect(ByteRange(header, byteCount: 0) == .unsatisfiable)
        }
    }
}
