// SPDX-License-Identifier: Apache-2.0

import Glibc
import Placement

/// The index of a store in a directory of the machine's own disk.
///
/// Not made through `Disk`: it is a cache, and not part of what a crash may lose.
package struct LMDBIndexProvider: RecordIndexProvider {
    private let directory: String
    private let mapByteCount: Int

    /// The index in `directory`, which may grow to `mapByteCount` bytes.
    package init(directory: String, mapByteCount: Int) {
        self.directory = directory
        self.mapByteCount = mapByteCount
    }

    package func open(for store: IndexOwner) throws(IndexFailure) -> any RecordIndex {
        guard mkdir(directory, 0o750) == 0 || errno == EEXIST else { throw IndexFailure("mkdir", number: errno) }
        return try LMDBIndex(
            directory: directory,
            mapByteCount: mapByteCount,
            identity: (store.cluster.high, store.cluster.low, store.node.high, store.node.low)
        )
    }

    package func remove() throws(IndexFailure) {
        for name in ["data.mdb", "lock.mdb"] where unlink("\(directory)/\(name)") != 0 && errno != ENOENT {
            throw IndexFailure("remove \(name)", number: errno)
        }
    }
}
