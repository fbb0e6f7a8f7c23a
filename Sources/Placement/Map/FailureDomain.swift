// SPDX-License-Identifier: Apache-2.0

/// Where a storage node stands, from the widest thing that can fail at once to the narrowest.
///
/// A rack is the same rack only within the same site, and a host only within the same rack: labels need to be unique
/// only among their siblings. An empty label is a label like any other, so a cluster that names no sites has one site.
public struct FailureDomain: Hashable, Comparable, Sendable {
    public let site: String
    public let rack: String
    public let host: String

    public init(site: String = "", rack: String = "", host: String) {
        self.site = site
        self.rack = rack
        self.host = host
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.site, left.rack, left.host) < (right.site, right.rack, right.host)
    }
}
