// SPDX-License-Identifier: Apache-2.0

import ColdStore
public import Lifecycle

extension Tier {
    /// What kind of place a tier is, and where, as orders and the catalog name it: without secrets.
    public var storePlace: (kind: String, place: String) {
        switch place {
        case .nodes(let label): return ("nodes", label)
        case .directory(let path): return ("directory", "\(ColdPlace.directory(path))")
        case .objectStore(let store):
            var bucket = ColdPlace.Bucket(endpoint: store.endpoint, name: store.bucket)
            bucket.prefix = store.prefix
            bucket.region = store.region
            bucket.usesPathStyle = store.usesPathStyle
            bucket.storageClass = store.storageClass
            bucket.credentialsFile = store.credentialsFile
            return ("bucket", "\(ColdPlace.bucket(bucket))")
        }
    }
}
