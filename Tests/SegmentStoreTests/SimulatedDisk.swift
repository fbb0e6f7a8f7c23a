// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOConcurrencyHelpers
import NIOCore
import SegmentStore

/// A disk in memory that can stop at any operation, fail one, and lose what was not synced.
///
/// What a process sees (the page cache) and what would survive a loss of power are kept apart.
final class SimulatedDisk: Disk {
    enum Operation: Hashable, Sendable {
        case createFile, removeFile, syncDirectory, write, sync, allocate, cutReserve
    }

    struct Content {
        /// What reads see.
        var visible: [UInt8] = []
        /// What is on the disk.
        var durable: [UInt8] = []
        /// Writes that a sync would bring to the disk.
        var pending: [(offset: Int, bytes: [UInt8])] = []
        var isNameDurable = false
    }

    private struct State {
        var files: [String: Content] = [:]
        /// Removed files whose directory was not synced since.
        var removed: [String: Content] = [:]
        var operationCount = 0
        var counts: [Operation: Int] = [:]
        var crashesAt: Int?
        var isCrashed = false
        var failure: (operation: Operation, number: Int32)?
        var freeBytes: UInt64 = 1 << 40
        var lockedPaths: Set<String> = []
        var beforeSync: (@Sendable () -> Void)?
    }

    private let state: NIOLockedValueBox<State>

    init(crashAt operation: Int? = nil) {
        state = NIOLockedValueBox(State(crashesAt: operation))
    }

    private init(_ state: State) { self.state = NIOLockedValueBox(state) }

    // MARK: Control

    /// How many operations that change something were begun.
    var operationCount: Int { state.withLockedValue { $0.operationCount } }

    var isCrashed: Bool { state.withLockedValue { $0.isCrashed } }

    func count(of operation: Operation) -> Int { state.withLockedValue { $0.counts[operation] ?? 0 } }

    /// Has the next `operation` fail with `number`.
    func failNext(_ operation: Operation, number: Int32) {
        state.withLockedValue { $0.failure = (operation, number) }
    }

    func setFreeBytes(_ count: UInt64) { state.withLockedValue { $0.freeBytes = count } }

    /// Runs `body` on the thread that is about to sync, outside of any lock.
    func beforeSync(_ body: (@Sendable () -> Void)?) { state.withLockedValue { $0.beforeSync = body } }

    var paths: [String] { state.withLockedValue { $0.files.keys.sorted() } }

    func bytes(at path: String) -> [UInt8]? { state.withLockedValue { $0.files[path]?.visible } }

    /// Changes a file behind the store's back, on the disk as well as in memory.
    func tamper(_ path: String, _ body: @Sendable (inout [UInt8]) -> Void) {
        state.withLockedValue { state in
            guard var content = state.files[path] else { return }
            body(&content.visible)
            content.durable = content.visible
            content.pending = []
            state.files[path] = content
        }
    }

    /// The disk as the next process finds it when this one was killed: nothing that was written is lost.
    func afterProcessKill() -> SimulatedDisk {
        state.withLockedValue { SimulatedDisk(State(files: $0.files, removed: $0.removed)) }
    }

    /// The disk after a loss of power: what was synced, and of the rest any sectors or none.
    func afterPowerLoss(
        using generator: inout some RandomNumberGenerator,
        crashAt operation: Int? = nil
    ) -> SimulatedDisk {
        var old = state.withLockedValue { $0 }
        for (path, content) in old.removed.sorted(by: { $0.key < $1.key }) where Bool.random(using: &generator) {
            old.files[path] = content
        }
        var files: [String: Content] = [:]
        for (path, content) in old.files.sorted(by: { $0.key < $1.key }) {
            guard content.isNameDurable || Bool.random(using: &generator) else { continue }
            var bytes = content.durable
            // All, none, or any part of what was not synced, sector by sector.
            let chance = [0, 50, 100].randomElement(using: &generator) ?? 0
            for write in content.pending {
                for start in stride(from: 0, to: write.bytes.count, by: 512)
                where Int.random(in: 0..<100, using: &generator) < chance {
                    let part = write.bytes[start..<min(start + 512, write.bytes.count)]
                    Self.store(part, at: write.offset + start, in: &bytes)
                }
            }
            files[path] = Content(visible: bytes, durable: bytes, isNameDurable: true)
        }
        return SimulatedDisk(State(files: files, crashesAt: operation))
    }

    fileprivate static func store(_ bytes: some Collection<UInt8>, at offset: Int, in target: inout [UInt8]) {
        let end = offset + bytes.count
        if target.count < end { target += [UInt8](repeating: 0, count: end - target.count) }
        target.replaceSubrange(offset..<end, with: bytes)
    }

    /// Counts an operation; throws when it is the one to stop at, after `partly` did a part of it.
    private func begin(
        _ operation: Operation,
        partly: @Sendable (inout [String: Content]) -> Void = { _ in }
    ) throws(DiskError) {
        let number: Int32? = state.withLockedValue { state in
            if state.isCrashed { return EIO }
            defer { state.operationCount += 1 }
            state.counts[operation, default: 0] += 1
            if let failure = state.failure, failure.operation == operation {
                state.failure = nil
                return failure.number
            }
            guard state.operationCount == state.crashesAt else { return nil }
            state.isCrashed = true
            partly(&state.files)
            return EIO
        }
        if let number { throw DiskError(operation == .sync ? "fdatasync" : "\(operation)", number: number) }
    }

    // MARK: Disk

    func createDirectory(_ path: String) throws(DiskError) {}

    func createFile(_ path: String) throws(DiskError) -> any DiskFile {
        try begin(.createFile)
        let isNew = state.withLockedValue { state in
            guard state.files[path] == nil else { return false }
            state.files[path] = Content()
            return true
        }
        guard isNew else { throw DiskError("create", number: EEXIST) }
        return SimulatedFile(disk: self, path: path)
    }

    func openFile(_ path: String) throws(DiskError) -> (any DiskFile)? {
        state.withLockedValue { $0.files[path] != nil } ? SimulatedFile(disk: self, path: path) : nil
    }

    func fileNames(in directory: String) throws(DiskError) -> [String] {
        paths.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
    }

    func removeFile(_ path: String) throws(DiskError) {
        try begin(.removeFile)
        state.withLockedValue { state in
            guard let content = state.files.removeValue(forKey: path) else { return }
            if content.isNameDurable { state.removed[path] = content }
        }
    }

    func syncDirectory(_ path: String) throws(DiskError) {
        try begin(.syncDirectory)
        state.withLockedValue { state in
            for name in state.files.keys where Self.isEntry(name, of: path) { state.files[name]?.isNameDurable = true }
            state.removed = state.removed.filter { !Self.isEntry($0.key, of: path) }
        }
    }

    private static func isEntry(_ name: String, of directory: String) -> Bool {
        name.hasPrefix(directory + "/") && !name.dropFirst(directory.count + 1).contains("/")
    }

    func freeByteCount(at path: String) throws(DiskError) -> UInt64 { state.withLockedValue { $0.freeBytes } }

    func lock(_ path: String) throws(DiskError) -> (any AnyObject & Sendable)? { SimulatedFile(disk: self, path: path) }

    // MARK: Files

    fileprivate func withContent<Value>(_ path: String, _ body: (inout Content) -> Value) -> Value {
        // A file that was removed while it was open lives on unseen.
        state.withLockedValue { state in
            var content = state.files[path] ?? Content()
            defer { if state.files[path] != nil { state.files[path] = content } }
            return body(&content)
        }
    }

    fileprivate func write(_ bytes: [UInt8], at offset: Int, to path: String) throws(DiskError) {
        try begin(.write) { files in
            // A process that dies in the middle of a write has written its front.
            let front = Array(bytes.prefix(bytes.count / 2))
            guard var content = files[path] else { return }
            Self.store(front, at: offset, in: &content.visible)
            content.pending.append((offset, front))
            files[path] = content
        }
        withContent(path) { content in
            Self.store(bytes, at: offset, in: &content.visible)
            content.pending.append((offset, bytes))
        }
    }

    fileprivate func sync(_ path: String) throws(DiskError) {
        state.withLockedValue { $0.beforeSync }?()
        do {
            try begin(.sync)
        } catch {
            // After a failed sync the pages count as clean, and what they hold never reaches the disk.
            if !isCrashed { withContent(path) { $0.pending = [] } }
            throw error
        }
        withContent(path) { content in
            for write in content.pending { Self.store(write.bytes, at: write.offset, in: &content.durable) }
            if content.durable.count < content.visible.count {
                content.durable += [UInt8](repeating: 0, count: content.visible.count - content.durable.count)
            }
            if content.durable.count > content.visible.count {
                content.durable.removeLast(content.durable.count - content.visible.count)
            }
            content.pending = []
        }
    }

    fileprivate func allocate(_ range: Range<UInt64>, in path: String) throws(DiskError) {
        try begin(.allocate)
        withContent(path) { content in
            let missing = Int(range.upperBound) - content.visible.count
            if missing > 0 { content.visible += [UInt8](repeating: 0, count: missing) }
        }
    }

    fileprivate func cut(_ path: String, at byteCount: Int) throws(DiskError) {
        try begin(.cutReserve)
        withContent(path) { content in
            if content.visible.count > byteCount { content.visible.removeLast(content.visible.count - byteCount) }
        }
    }

    fileprivate func dropCache(_ path: String) {
        withContent(path) { content in
            var bytes = content.durable
            if bytes.count < content.visible.count {
                bytes += [UInt8](repeating: 0, count: content.visible.count - bytes.count)
            }
            for write in content.pending { Self.store(write.bytes, at: write.offset, in: &bytes) }
            content.visible = bytes
        }
    }
}

private final class SimulatedFile: DiskFile {
    private let disk: SimulatedDisk
    private let path: String

    init(disk: SimulatedDisk, path: String) {
        self.disk = disk
        self.path = path
    }

    func byteCount() throws(DiskError) -> UInt64 { disk.withContent(path) { UInt64($0.visible.count) } }

    func read(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer {
        disk.withContent(path) { content in
            let start = min(Int(offset), content.visible.count)
            return ByteBuffer(bytes: content.visible[start..<min(start + byteCount, content.visible.count)])
        }
    }

    func write(_ buffers: [ByteBuffer], at offset: UInt64) throws(DiskError) {
        try disk.write(buffers.flatMap { Array($0.readableBytesView) }, at: Int(offset), to: path)
    }

    func sync() throws(DiskError) { try disk.sync(path) }

    func allocate(_ range: Range<UInt64>) throws(DiskError) { try disk.allocate(range, in: path) }

    func cutReserve(at byteCount: UInt64) throws(DiskError) { try disk.cut(path, at: Int(byteCount)) }

    func releaseUnwritten(from offset: UInt64) {}

    func nextData(at offset: UInt64) -> UInt64? {
        disk.withContent(path) { content in
            guard offset < content.visible.count else { return nil }
            return content.visible[Int(offset)...].firstIndex { $0 != 0 }.map { UInt64($0) & ~4095 }
        }
    }

    func dropCache() { disk.dropCache(path) }
}
