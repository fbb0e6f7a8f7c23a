// SPDX-License-Identifier: Apache-2.0

import Checksums
public import DICOM
import NIOCore
public import Placement

/// What a pack says of itself: whose it is, which study it holds, and which part of it.
public struct PackDescription: Hashable, Sendable {
    public var id: PackID
    /// The cluster whose records it holds; `nil` when it was made from files.
    public var cluster: ClusterID?
    public var studyInstanceUID: UID
    /// Which part of the study it is, from 1.
    public var part: Int
    /// How many parts the study was spread over.
    public var partCount: Int
    /// Milliseconds since 1970.
    public var createdAtMilliseconds: Int64

    public init(
        id: PackID,
        cluster: ClusterID?,
        studyInstanceUID: UID,
        part: Int = 1,
        partCount: Int = 1,
        createdAtMilliseconds: Int64
    ) {
        self.id = id
        self.cluster = cluster
        self.studyInstanceUID = studyInstanceUID
        self.part = part
        self.partCount = partCount
        self.createdAtMilliseconds = createdAtMilliseconds
    }

    /// Where the pack lies in a store: `abc/STUDY/PACK.zip`.
    ///
    /// A study's packs lie together under the name by which a person looks for them; the first three hexadecimal digits
    /// of the SHA-256 of the Study Instance UID keep each folder of ten million studies down to a few thousand names.
    public var key: String { Self.key(of: id, study: studyInstanceUID.string) }

    /// ``key`` of a pack of which no more is known.
    public static func key(of id: PackID, study: String) -> String {
        let digest = SHA256Hasher.digest(of: ByteBuffer(string: study))
        return "\(digest.description.prefix(3))/\(study)/\(id).zip"
    }
}
