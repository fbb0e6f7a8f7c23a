// SPDX-License-Identifier: Apache-2.0

import Glibc

extension NodeStore {
    /// Bytes of the file systems that the disks are on which serve, each counted once where several disks share it: what is in
    /// use and what is free; 0 when none answers.
    ///
    /// Two system calls a disk.
    package var capacityByteCount: UInt64 {
        var counted: Set<UInt64> = []
        var byteCount: UInt64 = 0
        for disk in disks {
            var file = stat()
            var space = statvfs()
            guard stat(disk.path, &file) == 0, statvfs(disk.path, &space) == 0 else { continue }
            guard counted.insert(UInt64(file.st_dev)).inserted else { continue }
            byteCount += UInt64(space.f_blocks) * UInt64(space.f_frsize)
        }
        return byteCount
    }
}
