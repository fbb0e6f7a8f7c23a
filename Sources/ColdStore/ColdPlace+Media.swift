// SPDX-License-Identifier: Apache-2.0

extension ColdPlace {
    /// How it is used when its media are not at hand; nil when that was not said.
    public var media: OfflineMedia? {
        switch self {
        case .directory(_, let media): media
        case .bucket(let bucket): bucket.media
        }
    }

    /// The same store, with other words about its media.
    public func with(_ media: OfflineMedia?) -> ColdPlace {
        switch self {
        case .directory(let path, _): return .directory(path, media: media)
        case .bucket(var bucket):
            bucket.media = media
            return .bucket(bucket)
        }
    }

    /// Whether the same packs are there, however it is used.
    public func isSameStore(as other: ColdPlace) -> Bool { permits(other) && other.permits(self) }
}
