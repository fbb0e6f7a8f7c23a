// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOMWeb
import NIOCore
import Placement

/// Makes the entity tag of a representation from what the directory knows of its instances, before any is read.
///
/// An instance's part is the SHA-256 of what was received and the identity of its record. Whatever else shapes the bytes
/// goes in, too: the form asked for, the URLs in it, and the version of the software that writes it.
struct RepresentationTag {
    private var hasher = SHA256Hasher()

    /// `kind` names the form; equal kinds get equal kinds of parts.
    init(_ kind: String, _ exchange: DICOMWebService.Exchange) {
        add(kind)
        add(exchange.version)
        add(exchange.root.url)
    }

    mutating func add(_ text: String) {
        // Its length first, so that no two sequences of texts are the same bytes.
        add(text.utf8.count)
        hasher.update(Array(text.utf8))
    }

    mutating func add(_ number: Int) {
        var bytes = ByteBuffer()
        bytes.writeInteger(UInt64(truncatingIfNeeded: number))
        hasher.update(bytes)
    }

    mutating func add(_ instance: StoredInstance) {
        hasher.update(instance.contentDigest.bytes)
        hasher.update(instance.recordID.bytes)
    }

    /// Of 128 bits of the digest.
    var tag: EntityTag { EntityTag(String(hasher.digest().description.prefix(32))) }
}

extension MultipartBoundary {
    /// The boundary of a tagged body: equal tags have to mean equal bytes.
    ///
    /// No part holds it: it is made of digests of all parts.
    init(_ tag: EntityTag) {
        var generator = SystemRandomNumberGenerator()
        self = MultipartBoundary("varve-\(tag.opaque)") ?? MultipartBoundary(using: &generator)
    }
}
