// SPDX-License-Identifier: Apache-2.0

import ColdStore
public import Lifecycle

extension Tier {
    /// What kind of place a tier is, and where, as orders and the catalog name it: without secrets.
    public var storePlace: (kind: String, place: String) {
        switch place {
        case .nodes(let label): return ("nodes", label)
        case .directory(let path): return ("directory", "\(ColdPlace.directory(path, media: media))")
        case .objectStore(let store):
            var bucket = ColdPlace.Bucket(endpoint: store.endpoint, name: store.bucket)
            bucket.prefix = store.prefix
            bucket.region = store.region
            bucket.usesPathStyle = store.usesPathStyle
            bucket.storageClass = store.storageClass
            bucket.lock = store.lock.flatMap { ObjectLock($0) }
            bucket.media = media
            bucket.credentialsFile = store.credentialsFile
            return ("bucket", "\(ColdPlace.bucket(bucket))")
        }
    }

    /// What is beyond the limits was refused when the rules were read.
    private var media: ColdStore.OfflineMedia? {
        offlineMedia.flatMap {
            ColdStore.OfflineMedia(
                retryAfterSeconds: $0.retryAfterSeconds,
                restoreDays: $0.restoreDays ?? ColdStore.OfflineMedia.usual.restoreDays
            )
        }
    }
}

extension ObjectLock {
    /// In days, as many as the period can have in any calendar.
    fileprivate init?(_ lock: Lifecycle.ObjectStore.Lock) {
        let days =
            switch lock.period.unit {
            case .days: lock.period.count
            case .weeks: lock.period.count * 7
            case .months: lock.period.count * 31
            case .years: lock.period.count * 366
            }
        // A hundred years are as long as it can be; longer periods are refused when rules are read.
        self.init(lock.isCompliance ? .compliance : .governance, days: min(days, Self.maximumDays))
    }
}
