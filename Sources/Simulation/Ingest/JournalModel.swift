// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import SegmentStore
import SimulatedDisk

/// What the catalog is owed, as `CatalogJournal` of Ingest keeps it: the same files, order of syncs, and rules.
///
/// A model of it: the real one runs on threads and system calls. Its steps block and end, on a simulated disk.
struct JournalModel {
    struct Entry: Hashable {
        var recordID: RecordID
        var nodes: [NodeID]
        var study: String
        var instance: String
    }

    struct File: Hashable {
        let number: UInt64
        let entryCount: Int
    }

    private struct Active {
        let number: UInt64
        let file: any DiskFile
        var byteCount: Int
        var entryCount: Int
    }

    private static let directory = "/journal"
    private static let header: [UInt8] = Array("VJRN".utf8) + [1, 0, 0, 0]
    private static let maximumFileByteCount = 600

    private let disk: SimulatedDisk
    private let skipsSync: Bool
    private var active: Active?
    private var sealed: [File] = []
    private var nextNumber: UInt64 = 1
    private(set) var count = 0

    /// Opens what an earlier process left.
    init(opening disk: SimulatedDisk, skipsSync: Bool) throws {
        self.disk = disk
        self.skipsSync = skipsSync
        try disk.createDirectory(Self.directory)
        try disk.syncDirectory("/")
        for name in try disk.fileNames(in: Self.directory) {
            guard let number = UInt64(name.prefix { $0 != "." }) else { continue }
            let entryCount = try Self.entries(disk, number).count
            sealed.append(File(number: number, entryCount: entryCount))
            count += entryCount
            nextNumber = number + 1
        }
    }

    /// Notes entries; they are durable when it returns.
    mutating func append(_ entries: [Entry]) throws {
        var current: Active
        if let active { current = active } else { current = try create() }
        active = nil
        var bytes = ByteBuffer()
        for entry in entries { Self.encode(entry, into: &bytes) }
        do {
            try current.file.write([bytes], at: UInt64(current.byteCount))
            if !skipsSync { try current.file.sync() }
        } catch {
            // What it held before stays; whether the rest got there does not matter, nobody was told.
            seal(current)
            throw error
        }
        current.byteCount += bytes.readableBytes
        current.entryCount += entries.count
        count += entries.count
        if current.byteCount < Self.maximumFileByteCount { active = current } else { seal(current) }
    }

    private mutating func create() throws -> Active {
        defer { nextNumber += 1 }
        let path = Self.path(nextNumber)
        let file = try disk.createFile(path)
        do {
            try file.write([ByteBuffer(bytes: Self.header)], at: 0)
            try disk.syncDirectory(Self.directory)
        } catch {
            try disk.removeFile(path)
            throw error
        }
        return Active(number: nextNumber, file: file, byteCount: Self.header.count, entryCount: 0)
    }

    private mutating func seal(_ file: Active) { sealed.append(File(number: file.number, entryCount: file.entryCount)) }

    /// The oldest file; entries that come from now on go to another one.
    mutating func oldest() -> File? {
        if sealed.isEmpty, let current = active {
            active = nil
            seal(current)
        }
        return sealed.first
    }

    func entries(of file: File) throws -> [Entry] { try Self.entries(disk, file.number) }

    /// Removes a file whose entries are all settled.
    mutating func remove(_ file: File) throws {
        try disk.removeFile(Self.path(file.number))
        sealed.removeAll { $0 == file }
        count -= file.entryCount
        try disk.syncDirectory(Self.directory)
    }

    /// All that is noted in it.
    var all: [Entry] {
        let numbers = sealed.map(\.number) + (active.map { [$0.number] } ?? [])
        // A file that can't be read has nothing to show.
        return numbers.flatMap { (try? Self.entries(disk, $0)) ?? [] }
    }

    /// Whether a record is noted in it, whatever else happens.
    func names(_ id: RecordID) -> Bool { all.contains { $0.recordID == id } }

    // MARK: Files

    private static func path(_ number: UInt64) -> String {
        let digits = String(number)
        return "\(directory)/\(String(repeating: "0", count: 20 - digits.count))\(digits).journal"
    }

    private static func encode(_ entry: Entry, into buffer: inout ByteBuffer) {
        var body = ByteBuffer(bytes: entry.recordID.bytes)
        body.writeInteger(UInt8(entry.nodes.count))
        for node in entry.nodes {
            body.writeInteger(node.high)
            body.writeInteger(node.low)
        }
        for uid in [entry.study, entry.instance] {
            body.writeInteger(UInt8(uid.utf8.count))
            body.writeString(uid)
        }
        buffer.writeInteger(UInt16(body.readableBytes), endianness: .little)
        buffer.writeInteger(CRC32C.checksum(of: body), endianness: .little)
        buffer.writeBuffer(&body)
    }

    /// The entries up to the end or the first that is not whole: what follows was never acknowledged.
    private static func entries(_ disk: SimulatedDisk, _ number: UInt64) throws -> [Entry] {
        guard let file = try disk.openFile(path(number)) else { return [] }
        var bytes = try file.read(at: 0, byteCount: Int(try file.byteCount()))
        guard bytes.readBytes(length: header.count) == header else { return [] }
        var entries: [Entry] = []
        while let length = bytes.readInteger(endianness: .little, as: UInt16.self),
            let checksum = bytes.readInteger(endianness: .little, as: UInt32.self),
            var body = bytes.readSlice(length: Int(length)), CRC32C.checksum(of: body) == checksum,
            let id = body.readBytes(length: RecordID.byteCount).flatMap({ RecordID(bytes: $0) }),
            let count = body.readInteger(as: UInt8.self)
        {
            var nodes: [NodeID] = []
            for _ in 0..<count {
                guard let high = body.readInteger(as: UInt64.self), let low = body.readInteger(as: UInt64.self) else {
                    return entries
                }
                nodes.append(NodeID(high: high, low: low))
            }
            let uids = [0, 1].compactMap { _ in
                body.readInteger(as: UInt8.self).flatMap { body.readString(length: Int($0)) }
            }
            guard uids.count == 2 else { return entries }
            entries.append(Entry(recordID: id, nodes: nodes, study: uids[0], instance: uids[1]))
        }
        return entries
    }
}
