// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import Placement
import SegmentFormat

/// What a store is made of once it is open.
struct RecoveredStore {
    var manifest: ManifestFile
    var index: any RecordIndex
    var files: SegmentFiles
    var facts: StoreFacts.Values
    var nextSegmentID: UInt64
    /// What the manifest had no room for; it comes before everything else that is written.
    var pendingEntries: [ManifestEntry]
    var lock: any AnyObject & Sendable
}

/// Brings a store's directory into a state that it can be used from.
///
/// Reads the manifest, sees that the index can be trusted, scans what was in use at an unclean stop, and notes what it
/// found. Changes no record.
struct StoreRecovery {
    let configuration: SegmentStore.Configuration
    let environment: StoreEnvironment

    private var disk: any Disk { environment.disk }
    private var logger: Logger { environment.logger }

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
        let isSameBoot = state.lastBoot == environment.boot
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
            known: state.unreadable + state.healed,
            logger: logger
        )
        try tidyTrash(state, present, files)
        for segment in Set(present).subtracting(state.retired.keys).union(state.segments.keys).sorted() {
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
            let range = QuarantinedRange(segment, found)
            if !facts.quarantined.contains(range) { facts.quarantined.append(range) }
        }
        facts.trash = state.retired
        facts.healed = state.healed.map { QuarantinedRange($0.segment, $0.range) }
        let becomesUncertain =
            (!state.isClosed && !isSameBoot) || state.isDamaged || isManifestLost || segments.hasDamage
        facts.isUncertain = state.isUncertain || becomesUncertain
        facts.usedBytes = segments.usedBytes
        facts.recordCount = try attemptIndex { () throws(IndexFailure) in try index.liveCount() }
        facts.highestTerm = max(state.highestTerm, segments.highestTerm)

        let highest = present.last.map { $0.rawValue + 1 } ?? 1
        // No number that a drop note names is ever used again.
        let dropped = (segments.highestDropped?.rawValue).map { $0 + 1 } ?? 1
        let next = max(highest, state.reservedBelow.rawValue, dropped)
        facts.firstSegment = next
        var entries: [ManifestEntry] = [
            .opened(environment.boot), .reserved(below: SegmentID(rawValue: next + StoreEngine.reservationCount)),
        ]
        // Lost with a manifest, and found again in what was ordered under it.
        if facts.highestTerm > state.highestTerm { entries.append(.term(facts.highestTerm)) }
        if segments.highestDropped != nil, !state.hasDrops { entries.append(.drops) }
        if becomesUncertain, !state.isUncertain { entries.append(.uncertain) }
        let newEntries = entries + segments.entries
        let pendingEntries = try note(newEntries, in: &manifest)
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
            pendingEntries: pendingEntries,
            lock: lock
        )
    }

    // MARK: Parts

    /// Writes `entries`; returns them when the disk is full, for the first write that finds room.
    ///
    /// Until then the store only reads: no segment can be made without them. A start that comes before finds the disk as
    /// this one did, and draws the same conclusions.
    private func note(
        _ entries: [ManifestEntry],
        in manifest: inout ManifestFile
    ) throws(SegmentStoreError) -> [ManifestEntry] {
        do {
            try manifest.append(entries)
            return []
        } catch {
            guard error.isFull else {
                throw SegmentStoreError(.openFailed, "the manifest can't be written: \(error)")
            }
            logger.warning(
                "disk is full: the store is opened for reading until there is room",
                metadata: ["directory": "\(configuration.directory)"]
            )
            // What was written of them may be written again.
            return entries
        }
    }

    private func prepare(
        _ directory: String,
        _ segmentDirectory: String
    ) throws(SegmentStoreError) -> any AnyObject & Sendable {
        let lock = try attempt("\(directory) can't be prepared") { () throws(DiskError) in
            try disk.createDirectory(directory)
            try disk.createDirectory(segmentDirectory)
            try disk.createDirectory("\(directory)/trash")
            try disk.syncDirectory(directory)
            try disk.syncDirectory(Self.parent(of: directory))
            return try disk.lock("\(directory)/LOCK")
        }
        guard let lock else {
            throw SegmentStoreError(.locked, "\(directory) is used by another process; stop that one first")
        }
        return lock
    }

    /// Finishes what a crash interrupted: moves of retired segments to the trash, and removals of purged ones.
    private func tidyTrash(
        _ state: ManifestState,
        _ present: [SegmentID],
        _ files: SegmentFiles
    ) throws(SegmentStoreError) {
        let trash = "\(configuration.directory)/trash"
        try attempt("the trash can't be put in order") { () throws(DiskError) in
            var hasChanged = false
            for segment in present where state.retired[segment] != nil {
                try files.trash(segment, to: trash)
                hasChanged = true
            }
            // A damaged manifest does not know what it has forgotten.
            if !state.isDamaged, state.nextSequence > 0 {
                for name in try disk.fileNames(in: trash) {
                    guard let segment = SegmentID(fileName: name), state.retired[segment] == nil else { continue }
                    try disk.removeFile("\(trash)/\(name)")
                    hasChanged = true
                }
            }
            if hasChanged {
                try disk.syncDirectory(trash)
                try disk.syncDirectory(files.directory)
            }
        }
    }

    /// The directory that `path` is an entry of.
    private static func parent(of path: String) -> String {
        let trimmed = path.hasSuffix("/") ? path.dropLast() : path[...]
        guard let slash = trimmed.lastIndex(of: "/") else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    /// Opens the index, or makes an empty one when it is missing, damaged, another store's, or can't be trusted.
    private func openIndex(isTrusted: Bool) throws(SegmentStoreError) -> any RecordIndex {
        let owner = IndexOwner(cluster: configuration.clusterID, node: configuration.nodeID)
        let indexes = environment.indexes
        if isTrusted {
            do {
                return try indexes.open(for: owner)
            } catch {
                logger.warning("index can't be opened and is rebuilt", metadata: ["reason": "\(error)"])
            }
        }
        return try attemptIndex { () throws(IndexFailure) in
            try indexes.remove()
            return try indexes.open(for: owner)
        }
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
        _ body: () throws(IndexFailure) -> Value
    ) throws(SegmentStoreError) -> Value {
        do {
            return try body()
        } catch {
            throw SegmentStoreError(.openFailed, "\(error); remove \(configuration.directory)/index")
        }
    }
}
