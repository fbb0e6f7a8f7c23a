// SPDX-License-Identifier: Apache-2.0

extension SimulatedDisk {
    /// What a store does to a disk.
    package enum Operation: String, Hashable, Sendable, CaseIterable {
        case createDirectory, createFile, removeFile, moveFile, syncDirectory, write, sync, allocate, cutReserve
        /// Changes nothing, and so is no effect to stop at; it can fail.
        case read

        /// The system call that a failure is reported as.
        var systemCall: String {
            switch self {
            case .createDirectory: "mkdir"
            case .createFile: "create"
            case .removeFile: "unlink"
            case .moveFile: "rename"
            case .syncDirectory: "fsync directory"
            case .write: "pwritev"
            case .sync: "fdatasync"
            case .allocate: "fallocate"
            case .cutReserve: "ftruncate"
            case .read: "pread"
            }
        }
    }

    /// An operation that is about to take place.
    package struct Event: Sendable {
        package let operation: Operation
        package let path: String
        /// The bytes of a read, a write or an allocation; empty for all others.
        package let range: Range<UInt64>
        /// How many effects came before.
        package let number: Int
    }

    /// What goes wrong with an operation.
    package enum Fault: Sendable {
        /// The process stops here, a write after its front half; every later operation fails.
        case crash
        /// The operation fails with this errno value; after a failed sync the page cache holds what the disk does not.
        case error(Int32)
        /// A write that seems to succeed and never reaches the disk, not even by a later sync.
        case lost
        /// A write that seems to succeed and goes to another place, past the page cache.
        case misdirected(path: String, offset: UInt64)
    }
}

/// A small generator with a known sequence (SplitMix64), so that a seed names a run.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { self.state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
