// SPDX-License-Identifier: Apache-2.0

import Checksums
package import DICOMWeb
import Glibc
package import NIOCore
import Placement

/// What the metadata of a series are kept under: a digest of the records that they were made of, and of what made them.
///
/// A series that has changed has another key, so what is kept is never out of date; it is merely not asked for any more.
package struct SeriesKey: Hashable, Sendable {
    /// 64 hexadecimal digits.
    package let text: String

    package init(_ instances: [StoredInstance], version: String) {
        var hasher = SHA256Hasher()
        hasher.update(Array("varve series metadata 1\n\(version)\n".utf8))
        for instance in instances {
            hasher.update(instance.contentDigest.bytes)
            hasher.update(instance.recordID.bytes)
        }
        text = hasher.digest().description
    }

    /// Stands for the service's URL in what is kept, since each client may know the service by another.
    ///
    /// It can't be in the metadata by chance or by intent: they would have to contain a digest of themselves.
    package var root: ServiceRoot { ServiceRoot(url: "~varve-root:\(text)") }

    /// `json` with the service's URL where ``root`` is.
    package func located(_ json: ByteBuffer, at actual: ServiceRoot) -> ByteBuffer {
        let mark = Array(root.url.utf8)
        let url = Array(actual.url.utf8)
        var result = ByteBufferAllocator().buffer(capacity: json.readableBytes)
        json.withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var (written, searched) = (0, 0)
            // The mark begins with a byte that is rare in JSON.
            while let found = memchr(base + searched, Int32(mark[0]), bytes.count - searched) {
                let start = UnsafeRawPointer(found) - base
                searched = start + 1
                guard bytes.count - start >= mark.count, memcmp(base + start, mark, mark.count) == 0 else { continue }
                result.writeBytes(bytes[written..<start])
                result.writeBytes(url)
                written = start + mark.count
                searched = written
            }
            result.writeBytes(bytes[written...])
        }
        return result
    }
}
