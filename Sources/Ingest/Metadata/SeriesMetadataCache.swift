// SPDX-License-Identifier: Apache-2.0

import Checksums
import Foundation
import Glibc
package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import NIOPosix

/// The metadata of whole series in files, so that a series of a thousand instances is one read.
///
/// A cache: what is lost or damaged is made again, nothing in it is synced, and the files that were used longest ago go when
/// there are too many bytes. One process a directory.
package final class SeriesMetadataCache: Sendable {
    /// The longest metadata that are kept, in bytes.
    package static let maximumByteCount = 32 << 20
    /// Before the metadata: what the file is, and their CRC32C.
    private static let magic: UInt64 = 0x7661_7276_6573_6D31
    private static let headByteCount = 12
    private static let suffix = ".json"

    private struct Entry {
        var byteCount: Int
        var lastUse: UInt64
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var byteCount = 0
        var clock: UInt64 = 0

        mutating func use(_ key: String) {
            clock += 1
            entries[key]?.lastUse = clock
        }
    }

    private let directory: String
    private let byteLimit: Int
    private let threads: NIOThreadPool
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    /// Opens or makes the directory, which only this user may enter: it holds patients' data.
    ///
    /// Blocks. Without a directory that can be used nothing is kept, and a warning says so.
    package init(directory: String, byteLimit: Int, threads: NIOThreadPool, logger: Logger) {
        self.directory = directory
        self.byteLimit = byteLimit
        self.threads = threads
        self.logger = logger
        guard byteLimit > 0 else { return }
        if mkdir(directory, 0o700) != 0, errno != EEXIST {
            logger.warning(
                "metadata of series can't be kept",
                metadata: ["directory": "\(directory)", "reason": "\(String(cString: strerror(errno)))"]
            )
        }
        // Losing the error is right: what can't be listed is not there.
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        var found: [(key: String, byteCount: Int, usedAt: Int)] = []
        for name in names {
            let path = "\(directory)/\(name)"
            guard name.hasSuffix(Self.suffix), name.utf8.count == 64 + Self.suffix.utf8.count else {
                // Begun by a process that ended meanwhile.
                if name.hasSuffix(".part") { unlink(path) }
                continue
            }
            var facts = stat()
            guard stat(path, &facts) == 0 else { continue }
            found.append((String(name.dropLast(Self.suffix.count)), Int(facts.st_size), facts.st_mtim.tv_sec))
        }
        state.withLockedValue { state in
            for file in found.sorted(by: { $0.usedAt < $1.usedAt }) {
                state.entries[file.key] = Entry(byteCount: file.byteCount, lastUse: 0)
                state.byteCount += file.byteCount
                state.use(file.key)
            }
        }
        makeRoom(for: 0)
    }

    /// Whether anything is kept at all.
    package var keepsAny: Bool { byteLimit > 0 }

    /// Bytes on disk, for a metric.
    package var byteCount: Int { state.withLockedValue { $0.byteCount } }

    /// How long the metadata under `key` are, when there are any.
    package func byteCount(of key: SeriesKey) -> Int? {
        state.withLockedValue { $0.entries[key.text]?.byteCount }
    }

    /// What is kept under `key`; nil when it is nothing, or damaged.
    package func json(_ key: SeriesKey) async -> ByteBuffer? {
        let isKnown = state.withLockedValue { state in
            state.use(key.text)
            return state.entries[key.text] != nil
        }
        guard isKnown else { return nil }
        let path = path(key)
        // Threads that have been shut down: the process is ending.
        let found = try? await threads.runIfActive { Self.read(path) }
        if let found = found ?? nil { return found }
        logger.notice("kept metadata of a series are gone or damaged, they are made again")
        await remove(key)
        return nil
    }

    /// Keeps metadata under `key`.
    ///
    /// What can't be written is not kept, which a warning says.
    package func keep(_ json: ByteBuffer, _ key: SeriesKey) async {
        let byteCount = json.readableBytes + Self.headByteCount
        guard json.readableBytes <= Self.maximumByteCount, byteCount <= byteLimit else { return }
        let path = path(key)
        do {
            try await threads.runIfActive {
                self.makeRoom(for: byteCount)
                try Self.write(json, path)
            }
        } catch {
            logger.warning("metadata of a series can't be kept", metadata: ["reason": "\(error)"])
            return
        }
        state.withLockedValue { state in
            state.byteCount += byteCount - (state.entries[key.text]?.byteCount ?? 0)
            state.entries[key.text] = Entry(byteCount: byteCount, lastUse: 0)
            state.use(key.text)
        }
    }

    private func remove(_ key: SeriesKey) async {
        forget(key.text)
        let path = path(key)
        _ = try? await threads.runIfActive { unlink(path) }
    }

    private func forget(_ key: String) {
        state.withLockedValue { state in
            state.byteCount -= state.entries.removeValue(forKey: key)?.byteCount ?? 0
        }
    }

    /// Removes what was used longest ago until `byteCount` more are within the limit.
    ///
    /// Blocks.
    private func makeRoom(for byteCount: Int) {
        let removed = state.withLockedValue { state -> [String] in
            guard state.byteCount + byteCount > byteLimit else { return [] }
            var removed: [String] = []
            // A tenth more than needed, so that the sorting is not done for every file.
            let wanted = byteLimit - byteCount - byteLimit / 10
            for (key, entry) in state.entries.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
                guard state.byteCount > max(0, wanted) else { break }
                state.entries[key] = nil
                state.byteCount -= entry.byteCount
                removed.append(key)
            }
            return removed
        }
        for key in removed { unlink("\(directory)/\(key)\(Self.suffix)") }
    }

    private func path(_ key: SeriesKey) -> String { "\(directory)/\(key.text)\(Self.suffix)" }

    private static func read(_ path: String) -> ByteBuffer? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        var bytes = ByteBuffer(bytes: data)
        guard let magic = bytes.readInteger(as: UInt64.self), magic == Self.magic,
            let checksum = bytes.readInteger(as: UInt32.self), checksum == CRC32C.checksum(of: bytes)
        else { return nil }
        return bytes
    }

    private static func write(_ json: ByteBuffer, _ path: String) throws {
        var file = ByteBufferAllocator().buffer(capacity: json.readableBytes + headByteCount)
        file.writeInteger(magic)
        file.writeInteger(CRC32C.checksum(of: json))
        file.writeImmutableBuffer(json)
        // Two may make the same at once: each writes a file of its own, and the last one stays.
        let part = "\(path).\(UUID().uuidString).part"
        do {
            try Data(file.readableBytesView).write(to: URL(fileURLWithPath: part))
        } catch {
            unlink(part)
            throw error
        }
        guard rename(part, path) == 0 else {
            let reason = String(cString: strerror(errno))
            unlink(part)
            throw IngestError("cannot rename \(part): \(reason)")
        }
    }
}
