// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A user of this machine, with the groups that a process of his has.
public struct SystemUser: Sendable, Hashable {
    public let name: String
    public let userID: UInt32
    public let groupID: UInt32
    public let groups: [UInt32]

    /// Looks the name up; nil when there is no such user.
    public init?(named name: String) {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        var groups = [gid_t](repeating: 0, count: 256)
        var count = Int32(groups.count)
        if getgrouplist(name, entry.pw_gid, &groups, &count) < 0 {
            groups = [entry.pw_gid]
        } else {
            groups = Array(groups.prefix(Int(count)))
        }
        self.name = name
        self.userID = entry.pw_uid
        self.groupID = entry.pw_gid
        self.groups = groups
    }

    /// Whether this process runs as root.
    public static var isRoot: Bool { geteuid() == 0 }
}
