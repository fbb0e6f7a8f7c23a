// SPDX-License-Identifier: Apache-2.0

import Glibc
import Ingest
import Logging
import NIOCore
import NIOPosix
import Placement
import Testing

@Suite struct JournalTests {
    private static func entry(_ number: Int) throws -> JournalEntry {
        JournalEntry(
            recordID: try #require(RecordID(high: 3 << 48 | 7, low: UInt64(number))),
            nodes: (0..<UInt64(number % 3)).map { NodeID(high: 1, low: $0) },
            studyInstanceUID: "1.2.\(number)",
            sopInstanceUID: "1.2.\(number).3"
        )
    }

    @Test func `entries cut short or changed anywhere end the file and are not believed`() throws {
        let entries = try (0..<4).map { try Self.entry($0) }
        var file = ByteBuffer(bytes: JournalFormat.header)
        var ends = [file.readableBytes]
        for entry in entries {
            JournalFormat.append(entry, to: &file)
            ends.append(file.readableBytes)
        }
        #expect(JournalFormat.read(file)?.entries == entries)
        #expect(JournalFormat.read(file)?.isWhole == true)
        for count in 0..<file.readableBytes {
            let beginning = try #require(file.getSlice(at: 0, length: count))
            let cut = try #require(JournalFormat.read(beginning))
            #expect(cut.entries == Array(entries.prefix(max(0, ends.filter { $0 <= count }.count - 1))))
            #expect(cut.isWhole == (count == 0 || ends.contains(count)))
        }
        for offset in JournalFormat.header.count..<file.readableBytes {
            var changed = file
            changed.setInteger(file.getInteger(at: offset, as: UInt8.self).map { $0 ^ 0x10 } ?? 0, at: offset)
            let found = try #require(JournalFormat.read(changed))
            #expect(found.entries == Array(entries.prefix(ends.filter { $0 <= offset }.count - 1)))
            #expect(!found.isWhole)
        }
        var other = file
        other.setInteger(UInt8(2), at: 4)
        #expect(JournalFormat.read(other) == nil, "another version is not read as this one")
    }

    @Test func `the bytes of an entry are those of every release`() throws {
        var bytes = ByteBuffer()
        JournalFormat.append(
            JournalEntry(
                recordID: try #require(RecordID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)),
                nodes: [NodeID(high: 1, low: 2)],
                studyInstanceUID: "1.2",
                sopInstanceUID: "1.2.3"
            ),
            to: &bytes
        )
        let text = bytes.readableBytesView.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        let expected = [
            "2b00", "8a0a014f", "000102030405060708090a0b0c0d0e0f",
            "01", "00000000000000010000000000000002", "03312e32", "05312e322e33",
        ]
        #expect(text == expected.joined())
    }

    @Test func `what was acknowledged is there for the next process, in order, until it is removed`() async throws {
        try await withJournal { directory, open in
            let entries = try (0..<200).map { try Self.entry($0) }
            var journal = try open(1000)
            try await withThrowingTaskGroup(of: Void.self) { [journal] tasks in
                for entry in entries { tasks.addTask { try await journal.append(entry) } }
                try await tasks.waitForAll()
            }
            #expect(journal.count == 200)
            journal = try open(1000)
            #expect(journal.count == 200)
            #expect(journal.owes(study: "1.2.7") && journal.owes(study: "1.2.199") && !journal.owes(study: "1.2.200"))
            try await journal.append(try Self.entry(200))
            var found: [JournalEntry] = []
            while let file = journal.oldest() {
                found += try await journal.entries(of: file)
                // One that comes meanwhile goes to another file.
                if found.count == 201 { try await journal.append(try Self.entry(201)) }
                try await journal.remove(file)
                if found.count > 202 { break }
            }
            #expect(Set(found) == Set(entries + [try Self.entry(200), try Self.entry(201)]))
            #expect(found.count == 202)
            #expect(found.last == (try Self.entry(201)))
            #expect(journal.count == 0)
            #expect(!(0...201).contains { journal.owes(study: "1.2.\($0)") })
            #expect(try open(1000).count == 0)
        }
    }

    @Test func `an entry that was being written when the process died is left out`() async throws {
        try await withJournal { directory, open in
            let journal = try open(1 << 20)
            try await journal.append(try Self.entry(1))
            try await journal.append(try Self.entry(2))
            let file = try #require(Self.files(in: directory).first)
            var status = stat()
            #expect(stat(file, &status) == 0)
            #expect(truncate(file, status.st_size - 1) == 0)
            let next = try open(1 << 20)
            #expect(next.count == 1)
            try await next.append(try Self.entry(3))
            #expect(Self.files(in: directory).count == 2, "a file with a torn end takes no more")
            #expect(try open(1 << 20).count == 2)
            // What could not be read is put aside, not removed, and in nobody's way.
            let torn = try #require(next.oldest())
            #expect(try await next.entries(of: torn) == [try Self.entry(1)])
            try await next.remove(torn)
            #expect(next.count == 1)
            #expect(access(file, F_OK) != 0 && access(file + ".unread", F_OK) == 0)
            #expect(try open(1 << 20).count == 1)
            unlink(file + ".unread")
        }
    }

    @Test func `a disk that takes nothing is an error of each entry, and no file is left in the way`() async throws {
        try await withJournal { directory, open in
            let journal = try open(1 << 20)
            try await journal.append(try Self.entry(1))
            _ = journal.oldest()
            #expect(rename(directory, directory + "-gone") == 0)
            await #expect(throws: StoreFailure.self) { try await journal.append(try Self.entry(2)) }
            #expect(rename(directory + "-gone", directory) == 0)
            try await journal.append(try Self.entry(3))
            #expect(journal.count == 2)
            #expect(try open(1 << 20).count == 2)
        }
    }

    @Test func `a file of another program stops the start and is not touched`() throws {
        try withJournalDirectory { directory, open in
            let path = directory + "/00000000000000000007.journal"
            let descriptor = Glibc.open(path, O_WRONLY | O_CREAT, 0o600)
            #expect(write(descriptor, "something else", 14) == 14)
            close(descriptor)
            #expect(throws: StoreFailure.self) { _ = try open(1 << 20) }
            #expect(Self.files(in: directory) == [path])
        }
    }

    // MARK: -

    private typealias Open = (Int) throws -> CatalogJournal

    private func withJournal(_ body: (String, Open) async throws -> Void) async throws {
        let (directory, threads) = try Self.make()
        try await body(directory) { limit in
            try CatalogJournal(
                directory: directory,
                threads: threads,
                maximumFileByteCount: limit,
                logger: Logger(label: "test")
            )
        }
        try await threads.shutdownGracefully()
        Self.remove(directory)
    }

    private func withJournalDirectory(_ body: (String, Open) throws -> Void) throws {
        let (directory, threads) = try Self.make()
        mkdir(directory, 0o700)
        try body(directory) { limit in
            try CatalogJournal(
                directory: directory,
                threads: threads,
                maximumFileByteCount: limit,
                logger: Logger(label: "test")
            )
        }
        Self.remove(directory)
    }

    private static func make() throws -> (String, NIOThreadPool) {
        var template = Array("/tmp/varve-journal-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        return (path + "/journal", threads)
    }

    private static func files(in directory: String) -> [String] {
        guard let entries = opendir(directory) else { return [] }
        defer { closedir(entries) }
        var names: [String] = []
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".journal") { names.append("\(directory)/\(name)") }
        }
        return names.sorted()
    }

    private static func remove(_ directory: String) {
        for file in files(in: directory) { unlink(file) }
        rmdir(directory)
        rmdir(String(directory.dropLast("/journal".count)))
    }
}
