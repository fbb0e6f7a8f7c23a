// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
package import ColdStore
package import Logging
import NIOConcurrencyHelpers
package import NIOCore
import PackFormat
package import Placement
package import ReplicationProtocol
import Telemetry

/// Gives records out of cold packs, by ranged reads, and nothing that was not compared with its digest.
///
/// The manifests of the packs that were read from lately are kept, and some of the records. Used by any number of requests.
package final class PackLibrary: Sendable {
    /// Packs whose manifests are kept: one of a thousand instances has about 2 MB in memory.
    private static let packLimit = 16
    /// Bytes of records that are kept, as whoever looks at one frame will look at the next.
    private static let keptByteLimit = 64 << 20
    /// What is larger is read twice when a part of it is asked for: once to prove it, in pieces, and then the part.
    static let wholeByteLimit: UInt64 = 16 << 20
    /// Bytes that are read at once while that is proven.
    static let pieceByteCount: UInt64 = 4 << 20
    /// Large records that are known to be proven in a pack.
    private static let provenLimit = 1024
    /// Bytes that manifest and directory of a pack take for each instance, mostly; when they take more, it is read twice.
    static let tailByteCount: UInt64 = 2048
    static let maximumTailByteCount: UInt64 = 16 << 20

    /// A pack whose manifest has been read.
    struct OpenPack: Sendable {
        let id: PackID
        /// How its store was to be used then.
        let place: String
        let reader: ObjectReader
        let index: PackIndex
    }

    private enum Found {
        case open(OpenPack)
        case opening(Task<Result<OpenPack, ColdStoreError>, Never>)
    }

    /// A record in one pack: its bytes in another may be others.
    private struct Place: Hashable {
        let pack: PackID
        let record: RecordID
    }

    private struct Kept {
        var bytes: ByteBuffer
        var lastUse: UInt64
    }

    private struct State {
        var packs: [PackID: (pack: OpenPack, lastUse: UInt64)] = [:]
        /// Packs whose manifests are being read: one read for all who want it.
        var opening: [PackID: Task<Result<OpenPack, ColdStoreError>, Never>] = [:]
        /// Records that were asked for first, until the manifests of their packs have been read.
        var placing: [PackID: (record: RecordID, task: Placing)] = [:]
        var kept: [RecordID: Kept] = [:]
        var keptByteCount = 0
        var proven: Set<Place> = []
        var clock: UInt64 = 0
        var readCount = 0
    }

    let directory: any PackDirectory
    let stores: ColdStores
    /// Studies that were read, for those who recall them then.
    private let notes: ColdReadNotes?
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    package init(
        directory: any PackDirectory,
        stores: ColdStores,
        notes: ColdReadNotes? = nil,
        logger: Logger
    ) {
        self.notes = notes
        self.directory = directory
        self.stores = stores
        self.logger = logger
    }

    /// Reads that were served.
    package var readCount: Int { state.withLockedValue { $0.readCount } }

    /// The bytes of `range` of a record, all of it when nil; `failure` is why no storage node gave it.
    package func read(
        _ id: RecordID,
        range: Range<Int>?,
        after failure: RetrieveFailure
    ) async throws(RetrieveFailure) -> ByteBuffer {
        if let kept = kept(id), let bytes = Self.slice(kept, range) { return bytes }
        return try await fromPacks(id, after: failure) { (pack) async throws(ColdStoreError) in
            guard let placed = try await self.placed(id, in: pack) else {
                let open = try await opened(pack)
                return try await self.bytes(of: try Self.entry(of: id, in: open), id, range, from: open)
            }
            return try Self.wanted(range, of: placed.bytes)
        }
    }

    /// A record's metadata, payload byte count and digest, as its pack's manifest has them.
    package func head(_ id: RecordID, after failure: RetrieveFailure) async throws(RetrieveFailure) -> HeadResult {
        try await fromPacks(id, after: failure) { (pack) async throws(ColdStoreError) in
            let entry: PackEntry
            if let placed = try await placed(id, in: pack) {
                entry = placed.entry
            } else {
                entry = try Self.entry(of: id, in: try await opened(pack))
            }
            guard let metadata = entry.instance.metadata else {
                throw ColdStoreError(.damaged, "the pack has no metadata of the record")
            }
            return HeadResult(
                metadata: metadata,
                payloadByteCount: entry.instance.byteCount,
                payloadDigest: entry.digest
            )
        }
    }

    /// Tries one pack after another, and reports those that are not what they should be.
    private func fromPacks<Value: Sendable>(
        _ id: RecordID,
        after failure: RetrieveFailure,
        _ body: (ColdPack) async throws(ColdStoreError) -> Value
    ) async throws(RetrieveFailure) -> Value {
        let packs: [ColdPack]
        do throws(RetrieveFailure) {
            packs = try await directory.packs(holding: id)
        } catch {
            // That no node has it is what there is to say, not that the catalog is away as well.
            throw failure
        }
        var reasons: [String] = []
        var isDamaged = true
        var retryAfter: Int?
        for pack in packs {
            do throws(ColdStoreError) {
                let value = try await body(pack)
                notes?.read.note(pack.studyInstanceUID, at: Timestamp.now().milliseconds)
                let isFirst = state.withLockedValue { state in
                    state.readCount += 1
                    return state.readCount == 1
                }
                if isFirst {
                    logger.notice(
                        "records are read from packs",
                        metadata: ["tier": "\(pack.tier)", "reason": "\(failure.kind)"]
                    )
                }
                return value
            } catch {
                reasons.append("\(pack.tier): \(error)")
                await failed(pack, error)
                if error.code != .damaged && error.code != .notFound { isDamaged = false }
                if error.code == .offline {
                    let seconds = Self.retryAfterSeconds(pack)
                    retryAfter = min(retryAfter ?? seconds, seconds)
                    notes?.offline.note(pack.studyInstanceUID, at: Timestamp.now().milliseconds)
                }
            }
        }
        guard !packs.isEmpty else { throw failure }
        if let retryAfter {
            throw Self.offline(reasons, retryAfterSeconds: retryAfter)
        }
        let isUnavailable = failure.kind == .unavailable || !isDamaged
        throw RetrieveFailure(
            isUnavailable ? .unavailable : failure.kind,
            "\(failure.reason); from \(packs.count) packs neither: \(reasons.joined(separator: "; "))"
        )
    }

    func failed(_ pack: ColdPack, _ error: ColdStoreError) async {
        let id = PackID(high: pack.idHigh, low: pack.idLow)
        logger.warning(
            "a pack could not be read from",
            metadata: ["pack": "\(id)", "tier": "\(pack.tier)", "reason": "\(error.code)"]
        )
        // The name in a store has the study's UID in it.
        logger.debug("why a pack could not be read from", metadata: ["pack": "\(id)", "reason": "\(error)"])
        state.withLockedValue { state in
            state.packs[id] = nil
            // It may be another file the next time.
            state.proven = state.proven.filter { $0.pack != id }
        }
        // Only what it holds is in question, not whether its store is there.
        guard error.code == .damaged || error.code == .notFound else { return }
        await directory.doubt(pack, note: "while it was read from: \(error)")
    }

    // MARK: - Packs

    func opened(_ pack: ColdPack) async throws(ColdStoreError) -> OpenPack {
        switch beginOpening(pack) {
        case .open(let open): return open
        case .opening(let task): return try await task.value.get()
        }
    }

    private func beginOpening(_ pack: ColdPack) -> Found {
        let id = PackID(high: pack.idHigh, low: pack.idLow)
        return state.withLockedValue { state in
            state.clock += 1
            state.packs[id]?.lastUse = state.clock
            if let open = state.packs[id]?.pack, open.place == pack.place { return .open(open) }
            if let opening = state.opening[id] { return .opening(opening) }
            // Not ended with whoever asked first: others wait for it, too.
            let opening = Task { await self.open(pack, id) }
            state.opening[id] = opening
            return .opening(opening)
        }
    }

    /// Reads the first record that is asked for of a pack, without its manifest, which is read after that.
    ///
    /// Whoever asks for the same record meanwhile is given it as well; others, who get nil, wait for the manifest.
    func withPlace(
        of pack: ColdPack,
        _ record: RecordID,
        _ body: @escaping @Sendable () async -> Result<PlacedRecord?, ColdStoreError>
    ) async throws(ColdStoreError) -> PlacedRecord? {
        let id = PackID(high: pack.idHigh, low: pack.idLow)
        let task = state.withLockedValue { state -> Placing? in
            if let placing = state.placing[id] { return placing.record == record ? placing.task : nil }
            guard state.packs[id] == nil, state.opening[id] == nil else { return nil }
            // Not ended with whoever asked first, as above.
            let task = Task {
                let placed = await body()
                guard case .success(.some) = placed else {
                    // Whoever asked reads the manifest now, or can't.
                    self.state.withLockedValue { $0.placing[id] = nil }
                    return placed
                }
                Task {
                    await self.openBehind(pack)
                    // Not before: who asks for the record meanwhile need not wait for the manifest either.
                    self.state.withLockedValue { $0.placing[id] = nil }
                }
                return placed
            }
            state.placing[id] = (record, task)
            return task
        }
        return try await task?.value.get()
    }

    /// Reads the manifest for those who come next; nobody waits for it, so what is wrong with it is reported here.
    private func openBehind(_ pack: ColdPack) async {
        do throws(ColdStoreError) {
            _ = try await opened(pack)
        } catch {
            await failed(pack, error)
        }
    }

    private func open(_ pack: ColdPack, _ id: PackID) async -> Result<OpenPack, ColdStoreError> {
        let result: Result<OpenPack, ColdStoreError>
        do throws(ColdStoreError) {
            result = .success(try await readManifest(of: pack, id))
        } catch {
            result = .failure(error)
        }
        state.withLockedValue { state in
            state.opening[id] = nil
            guard case .success(let opened) = result else { return }
            state.clock += 1
            let oldest = state.packs.min { $0.value.lastUse < $1.value.lastUse }
            if state.packs.count >= Self.packLimit, let oldest { state.packs[oldest.key] = nil }
            state.packs[id] = (opened, state.clock)
        }
        return result
    }

    // MARK: - Bytes

    private func bytes(
        of entry: PackEntry,
        _ id: RecordID,
        _ range: Range<Int>?,
        from pack: OpenPack
    ) async throws(ColdStoreError) -> ByteBuffer {
        if let range, entry.instance.byteCount > Self.wholeByteLimit {
            try await prove(entry, id, in: pack)
            let start = entry.offset + UInt64(range.lowerBound)
            let end = min(entry.offset + UInt64(range.upperBound), entry.range.upperBound)
            guard start <= end else { throw ColdStoreError(.invalid, "a range beyond the record's end") }
            return try await pack.reader.read(start..<end)
        }
        let bytes = try await pack.reader.read(entry.range)
        guard await Self.digest(of: bytes) == entry.digest else { throw Self.rotten }
        keep(bytes, id)
        return try Self.wanted(range, of: bytes)
    }

    private static func wanted(_ range: Range<Int>?, of bytes: ByteBuffer) throws(ColdStoreError) -> ByteBuffer {
        guard let wanted = slice(bytes, range) else {
            throw ColdStoreError(.invalid, "a range beyond the record's end")
        }
        return wanted
    }

    /// Reads all of a large record once, in pieces.
    private func prove(_ entry: PackEntry, _ id: RecordID, in pack: OpenPack) async throws(ColdStoreError) {
        let place = Place(pack: pack.id, record: id)
        guard !state.withLockedValue({ $0.proven.contains(place) }) else { return }
        var hasher = SHA256Hasher()
        var offset = entry.range.lowerBound
        while offset < entry.range.upperBound {
            let end = min(offset + Self.pieceByteCount, entry.range.upperBound)
            hasher = await Self.updated(hasher, try await pack.reader.read(offset..<end))
            offset = end
        }
        guard hasher.digest() == entry.digest else { throw Self.rotten }
        state.withLockedValue { state in
            if state.proven.count >= Self.provenLimit { state.proven = [] }
            state.proven.insert(place)
        }
    }

    static let rotten = ColdStoreError(.damaged, "the record's bytes in the pack have not their digest")

    private func kept(_ id: RecordID) -> ByteBuffer? {
        state.withLockedValue { state in
            guard let kept = state.kept[id] else { return nil }
            state.clock += 1
            state.kept[id]?.lastUse = state.clock
            state.readCount += 1
            return kept.bytes
        }
    }

    func keep(_ bytes: ByteBuffer, _ id: RecordID) {
        guard bytes.readableBytes <= Int(Self.wholeByteLimit) else { return }
        state.withLockedValue { state in
            guard state.kept[id] == nil else { return }
            state.clock += 1
            state.kept[id] = Kept(bytes: bytes, lastUse: state.clock)
            state.keptByteCount += bytes.readableBytes
            while state.keptByteCount > Self.keptByteLimit,
                let oldest = state.kept.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.kept[oldest.key] = nil
                state.keptByteCount -= oldest.value.bytes.readableBytes
            }
        }
    }

    private static func slice(_ bytes: ByteBuffer, _ range: Range<Int>?) -> ByteBuffer? {
        guard let range else { return bytes }
        let end = min(range.upperBound, bytes.readableBytes)
        guard range.lowerBound <= end else { return nil }
        return bytes.getSlice(at: bytes.readerIndex + range.lowerBound, length: end - range.lowerBound)
    }
}
