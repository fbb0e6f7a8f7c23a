// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import NIOCore
import Placement
import SegmentFormat

/// What a store is made of once it is open.
struct RecoveredStore {
    var manifest: ManifestFile
    var index: RecordIndex
    var files: SegmentFiles
    var facts: StoreFacts.Values
    var nextSegmentID: UInt64
    var lock: any AnyObject & Sendable
}

/// Brings a store's directory into a state that it can be used from.
///
/// Reads the manifest, sees that the index can be trusted, scans what was in use at an unclean stop, and notes what it
/// found. Changes no record.
struct StoreRecovery {
    let configuration: SegmentStore.Configuration
    let disk: any Disk
    let boot: BootID
    let logger: Logger

    func run() throws(SegmentStoreError) -> RecoveredStore {
        let directory = configuration.directory
        let segmentDirectory = "\(directory)/segments"
        let lock = try prepare(directory, segmentDirectory)
        var (manifest, manifestWasThere) = try ManifestFile.open(
            disk: disk,
            directory: directory,
            cluster: configuration.clusterID,
            node: configuration.nodeID
        )
        let state = manifest.state
        let names = try attempt("segments can't be listed") { () throws(DiskError) in
            try disk.fileNames(in: segmentDirectory)
        }
        let present = names.compactMap { SegmentID(fileName: $0) }
        let isSameBoot = state.lastBoot == boot
        let isManifestLost = !manifestWasThere && !present.isEmpty
        let index = try openIndex(isTrusted: state.isClosed || isSameBoot)
        var isUsable = false
        defer { if !isUsable { index.close() } }

        let files = SegmentFiles(
            disk: disk,
            directory: segmentDirectory,
            limit: configuration.maximumOpenFileCount
        )
        var segments = SegmentRecovery(
            configuration: configuration,
            files: files,
            index: index,
            isManifestWhole: !state.isDamaged && !isManifestLost,
            logger: logger
        )
        for segment in Set(present).union(state.segments.keys).sorted() {
            try segments.recover(segment, known: state.segments[segment])
        }
        if segments.hasRemovedFiles {
            try attempt("segment directory can't be synced") { () throws(DiskError) in
                try disk.syncDirectory(segmentDirectory)
            }
        }

        var facts = StoreFacts.Values()
        let known = state.unreadable.map { ($0.segment, $0.range) }
        for (segment, found) in known + segments.unreadable {
            let range = QuarantinedRange(segment: segment, range: found.range, kind: found.kind)
            if !facts.quarantined.contains(range) { facts.quarantined.append(range) }
        }
        let becomesUncertain =
            (!state.isClosed && !isSameBoot) || state.isDamaged || isManifestLost || segments.hasDamage
        facts.isUncertain = state.isUncertain || becomesUncertain
        facts.usedBytes = segments.usedBytes
        facts.recordCount = try attemptIndex { () throws(RecordIndex.Failure) in try index.count() }

        let highest = present.last.map { $0.rawValue + 1 } ?? 1
        let next = max(highest, state.reservedBelow.rawValue, 1)
        var entries: [ManifestEntry] = [
            .opened(boot), .reserved(below: SegmentID(rawValue: next + SegmentWriter.reservationCount)),
        ]
        if becomesUncertain, !state.isUncertain { entries.append(.uncertain) }
        let newEntries = entries + segments.entries
        try attempt("the manifest can't be written") { () throws(DiskError) in try manifest.append(newEntries) }
        isUsable = true
        logger.info(
            "segment store opened",
            metadata: [
                "records": "\(facts.recordCount)",
                "segments": "\(present.count)",
                "clean": "\(state.isClosed)",
                "unreadable": "\(facts.quarantined.count)",
                "uncertain": "\(facts.isUncertain)",
            ]
        )
        return RecoveredStore(
            manifest: manifest,
            index: index,
            files: files,
            facts: facts,
            nextSegmentID: next,
            lock: lock
        )
    }

    // MARK: Parts

    private func prepare(
        _ directory: String,
        _ segmentDirectory: String
    ) throws(SegmentStoreError) -> any AnyObject & Sendable {
        let lock = try attempt("\(directory) can't be prepared") { () throws(DiskError) in
            try disk.createDirectory(directory)
            try disk.createDirectory(segmentDirectory)
            try disk.syncDirectory(directory)
            try disk.syncDirectory(Self.parent(of: directory))
            return try disk.lock("\(directory)/LOCK")
        }
        guard let lock else {
            throw SegmentStoreError(.locked, "\(directory) is used by another process; stop that one first")
        }
        return lock
    }

    /// The directory that `path` is an entry of.
    private static func parent(of path: String) -> String {
        let trimmed = path.hasSuffix("/") ? path.dropLast() : path[...]
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// Opens the index, or makes an empty one when it is missing, damaged, another store's, or can't be trusted.
    private func openIndex(isTrusted: Bool) throws(SegmentStoreError) -> RecordIndex {
        let directory = "\(configuration.directory)/index"
        if isTrusted {
            do {
                return try makeIndex(directory)
            } catch {
                logger.warning(
                    "index can't be opened and is rebuilt",
                    metadata: ["operation": "\(error.operation)", "number": "\(error.number)"]
                )
            }
        }
        for name in ["data.mdb", "lock.mdb"] where unlink("\(directory)/\(name)") != 0 && errno != ENOENT {
            throw SegmentStoreError(.openFailed, "\(directory)/\(name) can't be removed, errno \(errno)")
        }
        return try attemptIndex { () throws(RecordIndex.Failure) in try makeIndex(directory) }
    }

    private func makeIndex(_ directory: String) throws(RecordIndex.Failure) -> RecordIndex {
        // The index is a cache and not part of what a crash may lose: it lives on the machine's own disk.
        mkdir(directory, 0o750)
        let cluster = configuration.clusterID
        let node = configuration.nodeID
        return try RecordIndex(
            directory: directory,
            mapByteCount: configuration.indexMapByteCount,
            identity: (cluster.high, cluster.low, node.high, node.low)
        )
    }

    private func attempt<Value>(
        _ what: String,
        _ body: () throws(DiskError) -> Value
    ) throws(SegmentStoreError) -> Value {
        do {
            return try body()
        } catch {
            throw SegmentStoreError(.openFailed, "\(what): \(error)")
        }
    }

    private func attemptIndex<Value>(
        _ body: () throws(RecordIndex.Failure) -> Value
    ) throws(SegmentStoreError) -> Value {
        do {
            return try body()
        } catch {
            throw SegmentStoreError(
                .openFailed,
                "index \(error.operation) failed, number \(error.number); remove \(configuration.directory)/index"
            )
        }
    }
}

extension BootID {
    /// The run of the operating system that this process is in; a new one each time when it can't be told.
    static func current() -> BootID {
        var text = [UInt8](repeating: 0, count: 64)
        let descriptor = Glibc.open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        let count = descriptor >= 0 ? read(descriptor, &text, text.count) : -1
        if descriptor >= 0 { close(descriptor) }
        if count > 0, let id = NodeID(String(decoding: text.prefix(count).filter { $0 > 32 }, as: UTF8.self)) {
            return BootID(high: id.high, low: id.low)
        }
        var generator = SystemRandomNumberGenerator()
        return BootID(high: generator.next(), low: generator.next())
    }
}
