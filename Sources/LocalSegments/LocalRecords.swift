// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOConcurrencyHelpers
package import NIOCore
package import NIOPosix
package import Placement
package import ReplicationProtocol
import SegmentFormat
package import SegmentStore

/// The records of one storage node on this host, read from its own files by whoever knows their places.
///
/// Hands out only what is in memory and passes all checks of the store; whoever gets nothing asks the node, which knows what is
/// wrong and reads from its disk. Places and files are used for a while only: what compaction retires is to give its room
/// back.
package final class LocalRecords: Sendable {
    /// How long a file is used after the node has given it.
    private static let lifetime = TimeAmount.seconds(60)
    /// How old it is when it is asked for again, so that reading goes on meanwhile.
    private static let renewalAge = TimeAmount.seconds(40)
    /// How long a node that did not give what it was asked for is left alone.
    private static let pause = TimeAmount.seconds(5)
    /// Places that are kept at least, and half of what are at most.
    private static let placeCount = 32_768
    private static let fileCount = 128

    fileprivate struct FileKey: Hashable, Sendable {
        let disk: UInt16
        let segment: SegmentID
    }

    fileprivate struct OpenFile {
        let reader: SegmentFileReader
        let since: NIODeadline
        var isRenewed = false
    }

    fileprivate struct Place {
        let locator: RecordLocator
        let file: FileKey
    }

    fileprivate struct State {
        /// Those that were noted or used lately, and those before them.
        var young: [RecordID: Place] = [:]
        var old: [RecordID: Place] = [:]
        var files: [FileKey: OpenFile] = [:]
        var isOpening: Set<FileKey> = []
        var pausedUntil = NIODeadline.uptimeNanoseconds(0)
        /// Whether the node gives files at all; nil until it was tried.
        var isGiving: Bool?
        var isProbing = false
    }

    private let socketPath: String
    private let cluster: ClusterID
    private let maximumByteCount: Int
    private let threads: NIOThreadPool
    private let state = NIOLockedValueBox(State())

    /// Reads at most `maximumByteCount` bytes of a record at once; `threads` ask the node at `socketPath` for files.
    package init(socketPath: String, cluster: ClusterID, maximumByteCount: Int, threads: NIOThreadPool) {
        self.socketPath = socketPath
        self.cluster = cluster
        self.maximumByteCount = maximumByteCount
        self.threads = threads
    }

    // MARK: Reading

    /// The bytes of a record's payload in `range` (all of it when nil; what is beyond its end is left out); `nil` when they are not
    /// to be had here at once.
    package func read(_ id: RecordID, range: Range<UInt64>?, now: NIODeadline = .now()) -> ByteBuffer? {
        guard let (locator, reader) = place(of: id, now: now) else { return nil }
        let payloadByteCount = locator.extent.payloadByteCount
        let wanted = range ?? 0..<payloadByteCount
        guard wanted.lowerBound <= payloadByteCount else { return nil }
        let clamped = wanted.clamped(to: 0..<payloadByteCount)
        guard clamped.count <= maximumByteCount else { return nil }
        let isWhole = clamped.count == Int(payloadByteCount)
        do throws(SegmentStoreError) {
            return try reader.read(
                id,
                at: locator,
                range: isWhole ? nil : Int(clamped.lowerBound)..<Int(clamped.upperBound)
            )
        } catch {
            failed(id, error)
            return nil
        }
    }

    /// A record's metadata, length and digest; `nil` when they are not to be had here at once.
    package func head(_ id: RecordID, now: NIODeadline = .now()) -> RecordInfo? {
        guard let (locator, reader) = place(of: id, now: now) else { return nil }
        do throws(SegmentStoreError) {
            return try reader.head(id, at: locator)
        } catch {
            failed(id, error)
            return nil
        }
    }

    // MARK: Places

    /// Whether the node is worth asking where this record is.
    package func wantsPlace(of id: RecordID, now: NIODeadline = .now()) -> Bool {
        let (isWanted, probes) = state.withLockedValue { state -> (Bool, Bool) in
            guard now >= state.pausedUntil, state.young[id] == nil, state.old[id] == nil else { return (false, false) }
            guard state.isGiving == nil else { return (true, false) }
            defer { state.isProbing = true }
            return (false, !state.isProbing)
        }
        if probes { probe() }
        return isWanted
    }

    /// Remembers what the node answered of `ids`.
    package func note(_ places: [FilePlace?], of ids: [RecordID]) {
        var missing: Set<FileKey> = []
        state.withLockedValue { state in
            for (id, place) in zip(ids, places) {
                guard let place, let locator = RecordLocator(place) else { continue }
                let file = FileKey(disk: place.disk, segment: locator.segment)
                state.keep(Place(locator: locator, file: file), of: id, limit: Self.placeCount)
                if state.files[file] == nil { missing.insert(file) }
            }
        }
        for file in missing { open(file) }
    }

    /// The node did not answer where records are.
    package func leaveAlone(now: NIODeadline = .now()) {
        state.withLockedValue { $0.pausedUntil = now + Self.pause }
    }

    private func place(of id: RecordID, now: NIODeadline) -> (RecordLocator, SegmentFileReader)? {
        var needed: FileKey?
        let found = state.withLockedValue { state -> (RecordLocator, SegmentFileReader)? in
            guard let place = state.place(of: id, limit: Self.placeCount) else { return nil }
            guard let file = state.files[place.file] else {
                if now >= state.pausedUntil { needed = place.file }
                return nil
            }
            let age = now - file.since
            if age >= Self.renewalAge, !file.isRenewed {
                state.files[place.file]?.isRenewed = true
                needed = place.file
            }
            guard age < Self.lifetime else {
                state.files[place.file] = nil
                needed = place.file
                return nil
            }
            return (place.locator, file.reader)
        }
        if let needed { open(needed) }
        return found
    }

    /// Anything but bytes that are not in memory means that the place is not, or no more, what it was.
    private func failed(_ id: RecordID, _ error: SegmentStoreError) {
        guard error.code != .readFailed else { return }
        state.withLockedValue { state in
            state.young[id] = nil
            state.old[id] = nil
        }
    }

    // MARK: Files

    /// Looks whether the node gives files: an older one does not, and asking it for places would be for nothing.
    private func probe() {
        let socketPath = socketPath
        threads.submit { [self] _ in
            let isThere = access(socketPath, F_OK) == 0
            state.withLockedValue { state in
                state.isProbing = false
                if isThere { state.isGiving = true } else { state.pausedUntil = .now() + Self.pause }
            }
        }
    }

    private func open(_ key: FileKey) {
        let isFirst = state.withLockedValue { $0.isOpening.insert(key).inserted }
        guard isFirst else { return }
        let socketPath = socketPath
        threads.submit { [self] _ in
            let descriptor = SegmentFileRequest(disk: key.disk, segment: key.segment).ask(at: socketPath)
            let reader = descriptor.map {
                SegmentFileReader(RealFile(descriptor: $0), cluster: cluster, maximumByteCount: maximumByteCount)
            }
            state.withLockedValue { state in
                state.isOpening.remove(key)
                guard let reader else {
                    // Retired, or the node is away: nothing of that file is read here any more.
                    state.files[key] = nil
                    state.forgetPlaces(in: key)
                    state.pausedUntil = .now() + Self.pause
                    state.isGiving = nil
                    return
                }
                state.add(OpenFile(reader: reader, since: .now()), key, limit: Self.fileCount)
            }
            // Also when nobody reads from it any more: an open file keeps the room of a segment that was purged.
            guard reader != nil else { return }
            MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: Self.lifetime) { [weak self] in
                self?.closeOldFiles()
            }
        }
    }

    /// Closes the files whose time is over.
    package func closeOldFiles(now: NIODeadline = .now()) {
        state.withLockedValue { state in
            state.files = state.files.filter { now - $0.value.since < Self.lifetime }
        }
    }

    /// The files that are open.
    package var openFileCount: Int { state.withLockedValue { $0.files.count } }
}

extension LocalRecords.State {
    fileprivate mutating func place(of id: RecordID, limit: Int) -> LocalRecords.Place? {
        if let place = young[id] { return place }
        guard let place = old.removeValue(forKey: id) else { return nil }
        keep(place, of: id, limit: limit)
        return place
    }

    fileprivate mutating func keep(_ place: LocalRecords.Place, of id: RecordID, limit: Int) {
        if young.count >= limit {
            old = young
            young = [:]
        }
        young[id] = place
    }

    fileprivate mutating func forgetPlaces(in file: LocalRecords.FileKey) {
        young = young.filter { $0.value.file != file }
        old = old.filter { $0.value.file != file }
    }

    fileprivate mutating func add(_ file: LocalRecords.OpenFile, _ key: LocalRecords.FileKey, limit: Int) {
        if files.count >= limit, files[key] == nil, let oldest = files.min(by: { $0.value.since < $1.value.since }) {
            files[oldest.key] = nil
        }
        files[key] = file
    }
}

extension RecordLocator {
    /// `nil` when the lengths are over their limits.
    fileprivate init?(_ place: FilePlace) {
        guard place.payloadByteCount <= SegmentLayout.maximumPayloadByteCount,
            place.metadataByteCount <= SegmentLayout.maximumMetadataByteCount
        else { return nil }
        self.init(
            segment: SegmentID(rawValue: place.segment),
            offset: place.offset,
            type: RecordType(rawValue: place.recordType),
            extent: RecordExtent(payloadByteCount: place.payloadByteCount, metadataByteCount: place.metadataByteCount)
        )
    }
}
