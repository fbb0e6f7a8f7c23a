// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOConcurrencyHelpers
package import SegmentStore

/// A disk in memory that can stop at any operation, fail one, rot, and lose what was not synced.
///
/// What a process sees (the page cache, names in directories) and what would survive a loss of power are kept apart.
/// Everything that is left to chance comes from seeds: the same calls give the same disk.
package final class SimulatedDisk: Disk {
    struct State: Sendable {
        var names = NameTable()
        var effectCount = 0
        var counts: [Operation: Int] = [:]
        var crashesAt: Int?
        var isCrashed = false
        var failures: [(operation: Operation, number: Int32)] = []
        var faults: (@Sendable (Event) -> Fault?)?
        var freeBytes: UInt64 = 1 << 40
        /// When set, what all files take is taken from it.
        var capacity: UInt64?
        var beforeSync: (@Sendable () -> Void)?
        var generator: SeededGenerator
        var locks: [String: Lock] = [:]
        let sectorByteCount: Int

        var usedByteCount: UInt64 { names.files.values.reduce(0) { $0 + UInt64($1.usedByteCount) } }
        var freeByteCount: UInt64 { capacity.map { $0 - min($0, usedByteCount) } ?? freeBytes }
    }

    struct Lock: Sendable {
        weak var holder: LockHolder?
    }

    final class LockHolder: Sendable {}

    let state: NIOLockedValueBox<State>

    /// An empty disk that stops at the effect of this number, and tears writes at multiples of `sectorByteCount`.
    package init(crashAt effect: Int? = nil, seed: UInt64 = 1, sectorByteCount: Int = 512) {
        state = NIOLockedValueBox(
            State(crashesAt: effect, generator: SeededGenerator(seed: seed), sectorByteCount: sectorByteCount)
        )
    }

    init(_ state: State) { self.state = NIOLockedValueBox(state) }

    /// Says whether an operation takes place, fails, or goes elsewhere; counts it when it changes something.
    func begin(_ operation: Operation, _ path: String, _ range: Range<UInt64> = 0..<0) throws(DiskError) -> Fault? {
        let (event, hook) = state.withLockedValue { state in
            (Event(operation: operation, path: path, range: range, number: state.effectCount), state.faults)
        }
        // The hook may look at this disk: it is called outside the lock.
        let wanted = hook?(event)
        let fault: Fault? = state.withLockedValue { state in
            if state.isCrashed { return .error(EIO) }
            defer { if operation != .read { state.effectCount += 1 } }
            state.counts[operation, default: 0] += 1
            if let place = state.failures.firstIndex(where: { $0.operation == operation }) {
                return .error(state.failures.remove(at: place).number)
            }
            if operation != .read, state.effectCount == state.crashesAt { return .crash }
            return wanted
        }
        switch fault {
        case .error(let number): throw DiskError(operation.systemCall, number: number)
        case .crash:
            state.withLockedValue { $0.isCrashed = true }
            return fault
        case .lost, .misdirected, nil: return fault
        }
    }

    /// Begins an operation that takes place as a whole or not at all.
    private func beginWhole(_ operation: Operation, _ path: String) throws(DiskError) {
        if case .crash = try begin(operation, path) { throw DiskError(operation.systemCall, number: EIO) }
    }

    // MARK: Disk

    package func createDirectory(_ path: String) throws(DiskError) {
        if state.withLockedValue({ $0.names.hasDirectory(path) }) { return }
        try beginWhole(.createDirectory, path)
        state.withLockedValue { $0.names.addDirectory(path) }
    }

    package func createFile(_ path: String) throws(DiskError) -> any DiskFile {
        try beginWhole(.createFile, path)
        let content = FileContent()
        let number: Int32? = state.withLockedValue { state in
            guard state.names.hasDirectory(NameTable.parent(of: path)) else { return ENOENT }
            guard state.names.files[path] == nil else { return EEXIST }
            state.names.add(path, content)
            return nil
        }
        if let number { throw DiskError("create", number: number) }
        return SimulatedFile(disk: self, path: path, content: content)
    }

    package func openFile(_ path: String) throws(DiskError) -> (any DiskFile)? {
        guard !isCrashed else { throw DiskError("open", number: EIO) }
        return state.withLockedValue { $0.names.files[path] }.map {
            SimulatedFile(disk: self, path: path, content: $0)
        }
    }

    package func fileNames(in directory: String) throws(DiskError) -> [String] {
        let names = state.withLockedValue { state in
            state.names.hasDirectory(directory)
                ? state.names.files.keys.filter { NameTable.parent(of: $0) == directory } : nil
        }
        guard let names else { throw DiskError("opendir", number: ENOENT) }
        return names.map { String($0.dropFirst(directory.count + 1)) }.sorted()
    }

    package func removeFile(_ path: String) throws(DiskError) {
        try beginWhole(.removeFile, path)
        state.withLockedValue { $0.names.remove(path) }
    }

    package func moveFile(_ path: String, to newPath: String) throws(DiskError) {
        try beginWhole(.moveFile, path)
        let isMoved = state.withLockedValue { state in
            guard state.names.files[path] != nil, state.names.hasDirectory(NameTable.parent(of: newPath)) else {
                return false
            }
            state.names.move(path, to: newPath)
            return true
        }
        if !isMoved { throw DiskError("rename", number: ENOENT) }
    }

    package func syncDirectory(_ path: String) throws(DiskError) {
        try beginWhole(.syncDirectory, path)
        state.withLockedValue { $0.names.sync(path) }
    }

    package func freeByteCount(at path: String) throws(DiskError) -> UInt64 {
        state.withLockedValue { $0.freeByteCount }
    }

    package func lock(_ path: String) throws(DiskError) -> (any AnyObject & Sendable)? {
        state.withLockedValue { state in
            if state.locks[path]?.holder != nil { return nil }
            let holder = LockHolder()
            state.locks[path] = Lock(holder: holder)
            return holder
        }
    }
}
