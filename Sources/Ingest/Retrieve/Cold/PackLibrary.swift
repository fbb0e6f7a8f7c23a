// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
package import ColdStore
package import Logging
import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix
import PackFormat
package import Placement
package import ReplicationProtocol

/// Gives records out of cold packs, by ranged reads, and nothing that was not compared with its digest.
///
/// The manifests of the packs that were read from lately are kept, and some of the records. Used by any number of requests.
package final class PackLibrary: Sendable {
    /// Packs whose manifests are kept: one of a thousand instances has about 2 MB in memory.
    private static let packLimit = 16
    /// Bytes of records that are kept, as whoever looks at one frame will look at the next.
    private static let keptByteLimit = 64 << 20
    /// What is larger is read twice when a part of it is asked for: once to prove it, in pieces, and then the part.
    private static let wholeByteLimit: UInt64 = 16 << 20
    /// Bytes that are read at once while that is proven.
    private static let pieceByteCount: UInt64 = 4 << 20
    /// Large records that are known to be proven in a pack.
    private static let provenLimit = 1024
    /// Bytes that manifest and directory of a pack take for each instance, mostly; when they take more, it is read twice.
    private static let tailByteCount: UInt64 = 2048
    private static let maximumTailByteCount: UInt64 = 16 << 20

    /// A pack whose manifest has been read.
    private struct OpenPack: Sendable {
        let id: PackID
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
        var kept: [RecordID: Kept] = [:]
        var keptByteCount = 0
        var proven: Set<Place> = []
        var clock: UInt64 = 0
        var readCount = 0
    }

    private let directory: any PackDirectory
    private let stores: ColdStores
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    package init(directory: any PackDirectory, stores: ColdStores, logger: Logger) {
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
        return try await fromPacks(id, after: failure) { (pack, entry) async throws(ColdStoreError) in
            try await self.bytes(of: entry, id, range, from: pack)
        }
    }

    /// A record's metadata, payload byte count and digest, as its pack's manifest has them.
    package func head(_ id: RecordID, after failure: RetrieveFailure) async throws(RetrieveFailure) -> HeadResult {
        try await fromPacks(id, after: failure) { (_, entry) async throws(ColdStoreError) in
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
        _ body: (OpenPack, PackEntry) async throws(ColdStoreError) -> Value
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
        for pack in packs {
            do throws(ColdStoreError) {
                let open = try await opened(pack)
                let entry = try Self.entry(of: id, in: open)
                let value = try await body(open, entry)
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
            }
        }
        guard !packs.isEmpty else { throw failure }
        let isUnavailable = failure.kind == .unavailable || !isDamaged
        throw RetrieveFailure(
            isUnavailable ? .unavailable : failure.kind,
            "\(failure.reason); from \(packs.count) packs neither: \(reasons.joined(separator: "; "))"
        )
    }

    private func failed(_ pack: ColdPack, _ error: ColdStoreError) async {
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

    private func opened(_ pack: ColdPack) async throws(ColdStoreError) -> OpenPack {
        let id = PackID(high: pack.idHigh, low: pack.idLow)
        let found = state.withLockedValue { state -> Found in
            state.clock += 1
            state.packs[id]?.lastUse = state.clock
            if let open = state.packs[id]?.pack { return .open(open) }
            if let opening = state.opening[id] { return .opening(opening) }
            // Not ended with whoever asked first: others wait for it, too.
            let opening = Task { await self.open(pack, id) }
            state.opening[id] = opening
            return .opening(opening)
        }
        switch found {
        case .open(let open): return open
        case .opening(let task): return try await task.value.get()
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

    private func readManifest(of pack: ColdPack, _ id: PackID) async throws(ColdStoreError) -> OpenPack {
        guard let key = ColdStore.ObjectKey(PackDescription.key(of: id, study: pack.studyInstanceUID)) else {
            throw ColdStoreError(.invalid, "the study's UID can't be a name in a store")
        }
        let store = try await stores.store(at: pack.place)
        let byteCount = UInt64(max(0, pack.byteCount))
        let reader = Self.reader(key, byteCount: byteCount, in: store)
        let index: PackIndex
        do throws(ColdStoreError) {
            let tail = (UInt64(max(0, pack.instanceCount)) + 16) * Self.tailByteCount
            index = try await reader.packIndex(tailByteCount: min(tail, Self.maximumTailByteCount))
        } catch {
            // Its length is asked for only now, as a good pack is read without.
            guard let status = try await store.status(of: key), status.byteCount != byteCount else { throw error }
            throw ColdStoreError(.damaged, "the pack has \(status.byteCount) bytes, it was written with \(byteCount)")
        }
        guard index.description.id == id, index.description.cluster == stores.cluster else {
            throw ColdStoreError(.damaged, "another pack lies under the name")
        }
        return OpenPack(id: id, reader: reader, index: index)
    }

    private static func entry(of id: RecordID, in pack: OpenPack) throws(ColdStoreError) -> PackEntry {
        let entry: PackEntry?
        do throws(PackError) {
            entry = try pack.index.entry(of: id)
        } catch {
            throw ColdStoreError(.damaged, error.message)
        }
        guard let entry else {
            throw ColdStoreError(.damaged, "the record is not in the pack that should hold it")
        }
        return entry
    }

    private static func reader(
        _ key: ColdStore.ObjectKey,
        byteCount: UInt64,
        in store: some ObjectStore
    ) -> ObjectReader {
        ObjectReader(key, byteCount: byteCount, in: store)
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
        guard let wanted = Self.slice(bytes, range) else {
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

    private static let rotten = ColdStoreError(.damaged, "the record's bytes in the pack have not their digest")

    /// On a thread made for it: an event loop may be waiting.
    private static func digest(of bytes: ByteBuffer) async -> SHA256Digest? {
        // Fails only when the process is ending.
        try? await NIOThreadPool.singleton.runIfActive { SHA256Hasher.digest(of: bytes) }
    }

    private static func updated(_ hasher: SHA256Hasher, _ bytes: ByteBuffer) async -> SHA256Hasher {
        // Fails only when the process is ending; the digest is not right then.
        let updated = try? await NIOThreadPool.singleton.runIfActive {
            var hasher = hasher
            hasher.update(bytes)
            return hasher
        }
        return updated ?? hasher
    }

    private func kept(_ id: RecordID) -> ByteBuffer? {
        state.withLockedValue { state in
            guard let kept = state.kept[id] else { return nil }
            state.clock += 1
            state.kept[id]?.lastUse = state.clock
            state.readCount += 1
            return kept.bytes
        }
    }

    private func keep(_ bytes: ByteBuffer, _ id: RecordID) {
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
