// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The one place that calls iconv.
enum CharacterConversion {
    /// `bytes` of the character set glibc calls `name`, as text; bytes that are none of it become U+FFFD.
    ///
    /// Nil when glibc does not have the character set (it is in `libc-bin`'s gconv modules).
    static func convert(_ bytes: [UInt8], from name: String) -> String? {
        guard let descriptor = unsafe iconv_open("UTF-8", name), Int(bitPattern: descriptor) != -1 else {
            return nil
        }
        defer { unsafe _ = iconv_close(descriptor) }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count * 2)
        var input = bytes
        unsafe input.withUnsafeMutableBytes { source in
            unsafe self.run(descriptor, source, into: &result)
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func run(
        _ descriptor: iconv_t,
        _ source: UnsafeMutableRawBufferPointer,
        into result: inout [UInt8]
    ) {
        var next = unsafe source.baseAddress?.assumingMemoryBound(to: CChar.self)
        var left = source.count
        var chunk = [CChar](repeating: 0, count: 512)
        while left > 0 {
            var room = chunk.count
            let status = unsafe chunk.withUnsafeMutableBufferPointer { target in
                var output = target.baseAddress
                return unsafe iconv(descriptor, &next, &left, &output, &room)
            }
            let failure = errno
            result.append(contentsOf: chunk[..<(chunk.count - room)].map { UInt8(bitPattern: $0) })
            guard status == -1 else { break }
            if failure == E2BIG { continue }
            // An invalid or cut character: one replacement, one byte on.
            result.append(contentsOf: [0xEF, 0xBF, 0xBD])
            guard left > 0, let at = unsafe next else { break }
            unsafe next = at + 1
            left -= 1
        }
    }
}
