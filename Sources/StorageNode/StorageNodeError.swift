// SPDX-License-Identifier: Apache-2.0

/// Why a storage node cannot start: what, where, and what to do about it.
public struct StorageNodeError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
