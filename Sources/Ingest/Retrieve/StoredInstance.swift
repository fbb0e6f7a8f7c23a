// SPDX-License-Identifier: Apache-2.0

package import Checksums
package import Placement

/// What retrieval knows of an instance before it reads any of it: a row of the catalog.
package struct StoredInstance: Sendable, Hashable {
    package var studyInstanceUID: String
    package var seriesInstanceUID: String
    package var sopInstanceUID: String
    package var sopClassUID: String
    package var recordID: RecordID
    /// The nodes that hold a copy.
    package var nodes: [NodeID]
    /// SHA-256 of what was received.
    package var contentDigest: SHA256Digest
    package var receivedTransferSyntax: String
    package var storedTransferSyntax: String
    /// Bytes of the data set as received.
    package var receivedByteCount: Int
    /// Bytes of the payload as stored, one copy.
    package var storedByteCount: Int

    package init(
        studyInstanceUID: String,
        seriesInstanceUID: String,
        sopInstanceUID: String,
        sopClassUID: String,
        recordID: RecordID,
        nodes: [NodeID],
        contentDigest: SHA256Digest,
        receivedTransferSyntax: String,
        storedTransferSyntax: String,
        receivedByteCount: Int,
        storedByteCount: Int
    ) {
        self.studyInstanceUID = studyInstanceUID
        self.seriesInstanceUID = seriesInstanceUID
        self.sopInstanceUID = sopInstanceUID
        self.sopClassUID = sopClassUID
        self.recordID = recordID
        self.nodes = nodes
        self.contentDigest = contentDigest
        self.receivedTransferSyntax = receivedTransferSyntax
        self.storedTransferSyntax = storedTransferSyntax
        self.receivedByteCount = receivedByteCount
        self.storedByteCount = storedByteCount
    }

    /// Whether the pixel data were compressed here, so that what was received can be restored.
    var isCompressedHere: Bool {
        receivedTransferSyntax != storedTransferSyntax
    }

    /// The copies with another one first at each attempt.
    func copies(attempt: Int) -> [NodeID] {
        guard !nodes.isEmpty else { return [] }
        let start = attempt % nodes.count
        return Array(nodes[start...] + nodes[..<start])
    }
}
