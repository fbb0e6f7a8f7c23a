// SPDX-License-Identifier: Apache-2.0

/// A named place for copies of studies.
public struct Tier: Hashable, Sendable {
    public let name: String
    public let place: Place
    /// That its packs may be on media that are not at hand; nil: they are there.
    public let offlineMedia: OfflineMedia?

    public init(name: String, place: Place, offlineMedia: OfflineMedia? = nil) {
        self.name = name
        self.place = place
        self.offlineMedia = offlineMedia
    }

    public enum Place: Hashable, Sendable {
        /// The storage nodes with a label.
        case nodes(label: String)
        /// Packs (a ZIP file a study) in a directory, by its absolute path.
        case directory(String)
        /// Packs in a bucket.
        case objectStore(ObjectStore)
    }

    /// How long it takes until packs can be read that are on such media.
    public struct OfflineMedia: Hashable, Sendable {
        /// For whoever wants to read; a minute at least, a year at most.
        public let retryAfterSeconds: Int
        /// For how many days an object of a bucket stays when it was restored; nil: as usual.
        public let restoreDays: Int?

        public init(retryAfterSeconds: Int, restoreDays: Int? = nil) {
            self.retryAfterSeconds = retryAfterSeconds
            self.restoreDays = restoreDays
        }
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
    /// That packs can't be removed for a while; nil: as the bucket has it.
    public let lock: Lock?
    /// A file on every storage node; nil: the environment of the process.
    public let credentialsFile: String?

    public init(
        endpoint: String,
        bucket: String,
        prefix: String = "",
        region: String? = nil,
        usesPathStyle: Bool = false,
        storageClass: String? = nil,
        lock: Lock? = nil,
        credentialsFile: String? = nil
    ) {
        self.endpoint = endpoint
        self.bucket = bucket
        self.prefix = prefix
        self.region = region
        self.usesPathStyle = usesPathStyle
        self.storageClass = storageClass
        self.lock = lock
        self.credentialsFile = credentialsFile
    }
}

extension ObjectStore {
    /// S3 Object Lock, for a period after a pack was written.
    public struct Lock: Hashable, Sendable {
        /// The longest period that stores take.
        public static let maximumYears = 99

        /// Who may lift it before its time: nobody, or those whom the bucket permits it.
        public let isCompliance: Bool
        public let period: CalendarDuration

        /// A lock for at most ``maximumYears``; nil for longer ones.
        public init?(isCompliance: Bool, period: CalendarDuration) {
            let most =
                switch period.unit {
                case .days: Self.maximumYears * 365
                case .weeks: Self.maximumYears * 52
                case .months: Self.maximumYears * 12
                case .years: Self.maximumYears
                }
            guard period.count <= most else { return nil }
            self.isCompliance = isCompliance
            self.period = period
        }
    }
}
