// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import SegmentStore
import SimulatedDisk

/// What goes wrong with the operations of one disk, drawn from a seed of its own.
///
/// Handed to `SimulatedDisk`, which asks on whatever thread uses it: so it is behind a lock.
final class DiskFaults: Sendable {
    struct State: Sendable {
        var generator: SeededGenerator
        /// Percent of operations that fail.
        var errorPercent = 0.0
        var allowed: Set<FaultKind> = []
        /// Faults that happened and were not told yet.
        var happened: [(FaultKind, String)] = []
        var lyingWrites = 0
        /// Operations of which the next one fails.
        var failNext: [SimulatedDisk.Operation] = []
        var isQuiet = true
    }

    let state: NIOLockedValueBox<State>

    init(seed: UInt64) { state = NIOLockedValueBox(State(generator: SeededGenerator(seed: seed))) }

    func decide(_ event: SimulatedDisk.Event, on disk: SimulatedDisk) -> SimulatedDisk.Fault? {
        let mayLie = state.withLockedValue { !$0.isQuiet && $0.lyingWrites > 0 }
        let paths = mayLie ? disk.paths : []
        return state.withLockedValue { state in
            guard !state.isQuiet else { return nil }
            if let index = state.failNext.firstIndex(of: event.operation) {
                state.failNext.remove(at: index)
                return .error(5)
            }
            if state.lyingWrites > 0, event.operation == .write, event.path.contains("/segments/"),
                event.range.lowerBound >= 4096
            {
                state.lyingWrites -= 1
                return Self.lie(event, paths, &state)
            }
            guard state.errorPercent > 0 else { return nil }
            let draw = Double(state.generator.next() >> 11) * (100.0 / 9_007_199_254_740_992.0)
            guard draw < state.errorPercent else { return nil }
            let (kind, number): (FaultKind, Int32) =
                switch event.operation {
                case .read: (.readError, 5)
                case .sync, .syncDirectory: (.syncError, 5)
                case .write, .createFile: Bool.random(using: &state.generator) ? (.writeError, 5) : (.diskFull, 28)
                case .allocate: (.diskFull, 28)
                case .createDirectory, .removeFile, .moveFile, .cutReserve: (.writeError, 5)
                }
            guard state.allowed.contains(kind) else { return nil }
            state.happened.append((kind, "\(event.operation.rawValue) of \(event.path)"))
            return .error(number)
        }
    }

    /// A write that is lost or goes elsewhere, and seems to succeed.
    private static func lie(
        _ event: SimulatedDisk.Event,
        _ paths: [String],
        _ state: inout State
    ) -> SimulatedDisk.Fault? {
        let isMisdirected =
            state.allowed.contains(.misdirectedWrite)
            && (!state.allowed.contains(.lostWrite) || Bool.random(using: &state.generator))
        guard isMisdirected else {
            guard state.allowed.contains(.lostWrite) else { return nil }
            state.happened.append((.lostWrite, "\(event.range) of \(event.path)"))
            return .lost
        }
        let targets = paths.filter { $0.contains("/segments/") }
        guard let path = targets.randomElement(using: &state.generator) else { return nil }
        let limit = path == event.path ? max(1, event.range.lowerBound / 4096) : 8
        let offset = 4096 * UInt64.random(in: 1...max(1, limit), using: &state.generator)
        state.happened.append((.misdirectedWrite, "\(event.range) of \(event.path) to \(offset) of \(path)"))
        return .misdirected(path: path, offset: offset)
    }

    func takeHappened() -> [(FaultKind, String)] {
        state.withLockedValue { state in
            defer { state.happened = [] }
            return state.happened
        }
    }
}

/// A disk with one of the deliberate mistakes between it and the store.
final class DefectiveDisk: Disk {
    private let disk: SimulatedDisk
    private let defect: Defect

    init(_ disk: SimulatedDisk, _ defect: Defect) {
        self.disk = disk
        self.defect = defect
    }

    func createDirectory(_ path: String) throws(DiskError) { try disk.createDirectory(path) }

    func createFile(_ path: String) throws(DiskError) -> any DiskFile {
        let directory = path.split(separator: "/").dropLast().map { "/\($0)" }.joined()
        if defect == .reuseSegment, directory.hasSuffix("/segments"),
            let used = try disk.fileNames(in: directory).first, let file = try disk.openFile("\(directory)/\(used)")
        {
            return wrap(file)
        }
        return wrap(try disk.createFile(path))
    }

    func openFile(_ path: String) throws(DiskError) -> (any DiskFile)? { try disk.openFile(path).map(wrap) }

    func fileNames(in directory: String) throws(DiskError) -> [String] { try disk.fileNames(in: directory) }

    func removeFile(_ path: String) throws(DiskError) { try disk.removeFile(path) }

    func moveFile(_ path: String, to newPath: String) throws(DiskError) { try disk.moveFile(path, to: newPath) }

    func syncDirectory(_ path: String) throws(DiskError) {
        if defect != .skipDirectorySync { try disk.syncDirectory(path) }
    }

    func freeByteCount(at path: String) throws(DiskError) -> UInt64 { try disk.freeByteCount(at: path) }

    func lock(_ path: String) throws(DiskError) -> (any AnyObject & Sendable)? { try disk.lock(path) }

    private func wrap(_ file: any DiskFile) -> any DiskFile {
        DefectiveFile(file, defect)
    }
}

/// A file of a defective disk.
private final class DefectiveFile: DiskFile {
    private let file: any DiskFile
    private let defect: Defect

    init(_ file: any DiskFile, _ defect: Defect) {
        self.file = file
        self.defect = defect
    }

    func byteCount() throws(DiskError) -> UInt64 { try file.byteCount() }

    func read(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer {
        try file.read(at: offset, byteCount: byteCount)
    }

    func readPastCache(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer {
        try file.readPastCache(at: offset, byteCount: byteCount)
    }

    func write(_ buffers: [ByteBuffer], at offset: UInt64) throws(DiskError) { try file.write(buffers, at: offset) }

    func sync() throws(DiskError) {
        switch defect {
        case .skipSync: return
        case .ignoreSyncError:
            // Losing the error is the mistake that this stands for.
            _ = Result { () throws(DiskError) in try file.sync() }
        case .retryFailedSync:
            if case .failure = Result(catching: { () throws(DiskError) in try file.sync() }) { try file.sync() }
        default: try file.sync()
        }
    }

    func allocate(_ range: Range<UInt64>) throws(DiskError) { try file.allocate(range) }

    func cutReserve(at byteCount: UInt64) throws(DiskError) { try file.cutReserve(at: byteCount) }

    func releaseUnwritten(from offset: UInt64) { file.releaseUnwritten(from: offset) }

    func nextData(at offset: UInt64) -> UInt64? { file.nextData(at: offset) }

    func dropCache() {
        if defect != .trustPageCache { file.dropCache() }
    }
}
