// SPDX-License-Identifier: Apache-2.0

package import Catalog
import Checksums
package import DICOMWeb

/// A place in the answer to a search as clients carry it: opaque to them, and good for the search that it came from.
///
/// The text is a check and the catalog's cursor. The check is 64 bits of a digest of both the cursor and the search, so
/// that what was cut, made up or taken from another search is refused and never answered with a page of something else.
/// It is no secret: whoever computes one gets what the search would give them anyway.
package struct SearchCursor: Sendable {
    package let cursor: CatalogCursor

    package init(_ cursor: CatalogCursor) { self.cursor = cursor }

    /// Reads the cursor of a search.
    ///
    /// - Throws: 400 when it is none, or another search's.
    package init(_ text: String, of request: QIDORequest) throws(DICOMWebError) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let cursor = CatalogCursor(text: String(parts[1])), cursor.text == parts[1] else {
            throw DICOMWebError(
                .badRequest,
                "the cursor is none of this archive; take the URL that Link gives as it is"
            )
        }
        self.cursor = cursor
        guard parts[0] == check(of: request) else {
            throw DICOMWebError(
                .badRequest,
                "the cursor belongs to another search; it is good for the search that gave it, unchanged but for limit "
                    + "and includefield"
            )
        }
    }

    /// For the URL of the next page.
    package func text(of request: QIDORequest) -> String { "\(check(of: request)).\(cursor.text)" }

    private func check(of request: QIDORequest) -> String {
        var hasher = SHA256Hasher()
        hasher.update(Array("varve search 1\n\(cursor.text)\n\(request.identity)".utf8))
        return String(hasher.digest().description.prefix(16))
    }
}
