// SPDX-License-Identifier: Apache-2.0

/// A named place for copies of studies.
public struct Tier: Hashable, Sendable {
    public let name: String
    public let place: Place

    public init(name: String, place: Place) {
        self.name = name
        self.place = place
    }

    public enum Place: Hashable, Sendable {
        /// The storage nodes with a label.
        case nodes(label: String)
        /// Packs (a ZIP file a study) in a directory, by its absolute path.
        case directory(String)
        /// Packs in a bucket.
        case objectStore(ObjectStore)
    }

    /// Whether copies there are records on storage nodes: as many as wanted, and read at once.
    public var isOnNodes: Bool {
        if case .nodes = place { true } else { false }
    }
}

/// Where in an object store that speaks S3 packs are kept.
///
/// Never its secrets: those are in a file of their own.
public struct ObjectStore: Hashable, Sendable {
    /// `https://HOST[:PORT]`.
    public let endpoint: String
    public let bucket: String
    /// What the keys of all packs begin with; empty, or without a slash at its ends.
    public let prefix: String
    public let region: String?
    /// The bucket is part of the path (`https://HOST/BUCKET/KEY`), not of the host name.
    public let usesPathStyle: Bool
    /// As the store calls it; nil: the bucket's.
    public let storageClass: String?
    /// A file on every storage node; nil: the environment of the process.
    public let credentialsFile: String?

    public init(
        endpoint: String,
        bucket: String,
        prefix: String = "",
        region: String? = nil,
        usesPathStyle: Bool = false,
        storageClass: String? = nil,
        credentialsFile: String? = nil
    ) {
        self.endpoint = endpoint
        self.bucket = bucket
        self.prefix = prefix
        self.region = region
        self.usesPathStyle = usesPathStyle
        self.storageClass = storageClass
        self.credentialsFile = credentialsFile
    }
}
