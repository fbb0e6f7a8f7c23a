// SPDX-License-Identifier: Apache-2.0

import Glibc
package import Logging
import NIOConcurrencyHelpers
import NIOCore
package import NIOPosix

/// The records that are durable on their nodes while the catalog cannot be told, on this node's disk.
///
/// Entries are acknowledged after `fdatasync`; those that wait meanwhile share the next one. Files are taken back, oldest
/// first, by whoever enters them (``JournalDrain``), and removed when all their entries are settled. A file that was not
/// finished is entered again from its beginning: entering twice changes nothing. Safe to use from any task.
///
/// It is a list of debts, not of data: the records on the storage nodes say the same, and comparing them with the catalog
/// finds what a lost journal held (``CatalogComparison``).
package final class CatalogJournal: Sendable {
    /// A file of the journal that takes no more entries.
    package struct File: Hashable, Sendable {
        let number: UInt64
        let studies: StudyCounts

        var entryCount: Int { studies.total }
    }

    private typealias Waiter = CheckedContinuation<Result<Void, StoreFailure>, Never>

    private struct Active {
        let number: UInt64
        let descriptor: CInt
        var byteCount: Int
        var studies: StudyCounts
    }

    private struct State {
        var waiting: [(entry: JournalEntry, waiter: Waiter)] = []
        var isWriting = false
        /// Taken out while it is written to.
        var active: Active?
        var sealed: [File] = []
        var nextNumber: UInt64 = 1
        var owed = StudyCounts()
    }

    private let directory: String
    private let maximumFileByteCount: Int
    private let threads: NIOThreadPool
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    /// Opens the journal in a directory that no other process uses, or makes an empty one there.
    ///
    /// Blocks. `threads` do the writing.
    package init(
        directory: String,
        threads: NIOThreadPool,
        maximumFileByteCount: Int = 1 << 20,
        logger: Logger
    ) throws(StoreFailure) {
        self.directory = directory
        self.maximumFileByteCount = maximumFileByteCount
        self.threads = threads
        self.logger = logger
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw Self.failure("make", directory) }
        // Its name must be durable as well, or a loss of power takes all that was synced in it.
        try Self.sync(directory: directory + "/..")
        var state = State()
        for number in try Self.fileNumbers(in: directory) {
            let file = try open(number)
            state.sealed.append(file)
            state.owed.add(file.studies)
            state.nextNumber = number + 1
        }
        if state.owed.total > 0 {
            logger.notice("instances wait in the journal for the catalog", metadata: ["count": "\(state.owed.total)"])
        }
        self.state.withLockedValue { $0 = state }
    }

    deinit {
        if let active = state.withLockedValue({ $0.active }) { close(active.descriptor) }
    }

    /// How many entries are not settled yet.
    package var count: Int { state.withLockedValue { $0.owed.total } }

    /// Whether instances of the study are not settled yet: the catalog may not have heard of them.
    package func owes(study: String) -> Bool { state.withLockedValue { $0.owed.contains(study) } }

    // MARK: Writing

    /// Notes an entry and returns when it is durable.
    package func append(_ entry: JournalEntry) async throws(StoreFailure) {
        let result: Result<Void, StoreFailure> = await withCheckedContinuation { waiter in
            let starts = state.withLockedValue { state in
                state.waiting.append((entry, waiter))
                defer { state.isWriting = true }
                return !state.isWriting
            }
            if starts { threads.submit { _ in self.writeWaiting() } }
        }
        try result.get()
    }

    /// Writes what waits, batch by batch, until nothing does.
    private func writeWaiting() {
        while true {
            let (batch, active) = state.withLockedValue { state in
                let taken = (state.waiting, state.active)
                state.waiting = []
                state.active = nil
                if taken.0.isEmpty {
                    state.active = taken.1
                    state.isWriting = false
                }
                return taken
            }
            if batch.isEmpty { return }
            let result = Result { () throws(StoreFailure) in try write(batch.map(\.entry), to: active) }
            state.withLockedValue { state in
                guard case .success(let active) = result else { return }
                for (entry, _) in batch { state.owed.add(entry.studyInstanceUID) }
                if active.byteCount < maximumFileByteCount {
                    state.active = active
                } else {
                    seal(active, &state)
                }
            }
            for (_, waiter) in batch { waiter.resume(returning: result.map { _ in }) }
        }
    }

    /// Appends to the active file, or to a new one; a file that could not be written takes no more.
    private func write(_ entries: [JournalEntry], to active: Active?) throws(StoreFailure) -> Active {
        var active = if let active { active } else { try create() }
        var bytes = ByteBuffer()
        for entry in entries { JournalFormat.append(entry, to: &bytes) }
        do throws(StoreFailure) {
            try Self.write(bytes, to: active.descriptor)
            guard fdatasync(active.descriptor) == 0 else { throw Self.failure("sync a file in", directory) }
        } catch {
            // What it held before stays; whether the rest got there does not matter, nobody was told.
            state.withLockedValue { seal(active, &$0) }
            throw error
        }
        active.byteCount += bytes.readableBytes
        for entry in entries { active.studies.add(entry.studyInstanceUID) }
        return active
    }

    private func create() throws(StoreFailure) -> Active {
        let number = state.withLockedValue { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
        let descriptor = Glibc.open(path(number), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("make a file in", directory) }
        do throws(StoreFailure) {
            try Self.write(ByteBuffer(bytes: JournalFormat.header), to: descriptor)
            try syncDirectory()
        } catch {
            close(descriptor)
            unlink(path(number))
            throw error
        }
        return Active(
            number: number,
            descriptor: descriptor,
            byteCount: JournalFormat.header.count,
            studies: StudyCounts()
        )
    }

    private func seal(_ active: Active, _ state: inout State) {
        close(active.descriptor)
        state.sealed.append(File(number: active.number, studies: active.studies))
    }

    // MARK: Taking back

    /// The oldest file, nil when there is nothing to enter.
    ///
    /// Entries that come from now on go to another one.
    package func oldest() -> File? {
        state.withLockedValue { state in
            if state.sealed.isEmpty, let active = state.active {
                state.active = nil
                seal(active, &state)
            }
            return state.sealed.first
        }
    }

    /// The entries of a file.
    package func entries(of file: File) async throws(StoreFailure) -> [JournalEntry] {
        let path = path(file.number)
        do {
            return try await threads.runIfActive { try Self.read(path)?.entries ?? [] }
        } catch {
            throw StoreFailure(.processing, "the journal file \(path) cannot be read: \(error)")
        }
    }

    /// Removes a file whose entries are all settled.
    ///
    /// One that could not be read to its end is put aside as `NAME.unread` instead: nobody knows here whether that end was
    /// ever acknowledged.
    package func remove(_ file: File) async throws(StoreFailure) {
        let path = path(file.number)
        do {
            try await threads.runIfActive {
                if try Self.read(path)?.isWhole == true {
                    guard unlink(path) == 0 else { throw Self.failure("remove a file in", self.directory) }
                } else {
                    guard rename(path, path + ".unread") == 0 else {
                        throw Self.failure("rename a file in", self.directory)
                    }
                    self.logger.error(
                        "a journal file could not be read to its end and was put aside; 'varve catalog check --adopt' finds what it held",
                        metadata: ["file": "\(path).unread"]
                    )
                }
                // From here on there is no such file, whatever becomes of the sync: one that comes back after a loss of
                // power is entered once more, which changes nothing.
                self.state.withLockedValue { state in
                    state.sealed.removeAll { $0 == file }
                    state.owed.remove(file.studies)
                }
                try self.syncDirectory()
            }
        } catch {
            throw (error as? StoreFailure) ?? StoreFailure(.processing, "\(error)")
        }
    }

    // MARK: Files

    private func path(_ number: UInt64) -> String {
        let digits = String(number)
        return "\(directory)/\(String(repeating: "0", count: max(0, 20 - digits.count)))\(digits).journal"
    }

    /// What the file says that an earlier process left.
    private func open(_ number: UInt64) throws(StoreFailure) -> File {
        guard let content = try Self.read(path(number)) else {
            throw StoreFailure(
                .processing,
                "\(path(number)) is no journal of this version; move it away: 'varve catalog check --adopt' finds what it held"
            )
        }
        if !content.isWhole {
            logger.notice("a journal file ends in what was never acknowledged", metadata: ["file": "\(path(number))"])
        }
        var studies = StudyCounts()
        for entry in content.entries { studies.add(entry.studyInstanceUID) }
        return File(number: number, studies: studies)
    }

    private static func fileNumbers(in directory: String) throws(StoreFailure) -> [UInt64] {
        guard let entries = opendir(directory) else { throw failure("list", directory) }
        defer { closedir(entries) }
        var numbers: [UInt64] = []
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let suffix = ".journal"
            if name.hasSuffix(suffix), let number = UInt64(name.dropLast(suffix.count)) { numbers.append(number) }
        }
        return numbers.sorted()
    }

    private static func read(_ path: String) throws(StoreFailure) -> (entries: [JournalEntry], isWhole: Bool)? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        var content = ByteBuffer()
        while true {
            var outcome = 0
            content.writeWithUnsafeMutableBytes(minimumWritableBytes: 1 << 16) { pointer in
                outcome = Glibc.read(descriptor, pointer.baseAddress, pointer.count)
                return max(0, outcome)
            }
            if outcome < 0 && errno == EINTR { continue }
            guard outcome >= 0 else { throw failure("read", path) }
            if outcome == 0 { return JournalFormat.read(content) }
        }
    }

    private static func write(_ bytes: ByteBuffer, to descriptor: CInt) throws(StoreFailure) {
        var rest = bytes
        while rest.readableBytes > 0 {
            let count = rest.withUnsafeReadableBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("write to", "the journal") }
            rest.moveReaderIndex(forwardBy: count)
        }
    }

    private func syncDirectory() throws(StoreFailure) { try Self.sync(directory: directory) }

    private static func sync(directory: String) throws(StoreFailure) {
        let descriptor = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("sync", directory) }
    }

    private static func failure(_ what: String, _ path: String) -> StoreFailure {
        StoreFailure(.unavailable, "cannot \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
