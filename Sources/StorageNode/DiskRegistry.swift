// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOConcurrencyHelpers
import NIOPosix

/// What a disk is called in the node that it belongs to: made by chance when it is first used.
package struct DiskID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads 16 hexadecimal digits.
    init?(_ text: some StringProtocol) {
        guard text.utf8.count == 16, let value = UInt64(text, radix: 16) else { return nil }
        self.rawValue = value
    }

    package var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Which disks a node has, in its home directory (`DIR/disks`), so that one that is gone is missed.
final class DiskRegistry: Sendable {
    struct Contents: Hashable, Sendable {
        struct Entry: Hashable, Sendable {
            var id: DiskID
            /// Where it was last.
            var path: String
        }

        /// Whether every disk had all amendments when the node stopped.
        var isEven = true
        /// Whether a disk was missing, and what was on it is not known to be here again.
        var isLacking = false
        var disks: [Entry] = []
    }

    let file: DurableTextFile
    private let contents: NIOLockedValueBox<Contents>

    /// A registry whose file says `contents`, or does not exist yet.
    init(_ file: DurableTextFile, _ contents: Contents) {
        self.file = file
        self.contents = NIOLockedValueBox(contents)
    }

    var current: Contents { contents.withLockedValue { $0 } }

    /// What the node's home says; `nil` when it has never said anything.
    static func read(_ file: DurableTextFile) throws(StorageNodeError) -> Contents? {
        guard let text = try file.read() else { return nil }
        guard let contents = parse(text) else {
            throw StorageNodeError(
                "\(file.path) is damaged: it must hold 'even yes|no', 'lacking yes|no' and 'disk ID PATH' for each disk,"
                    + " whose ID is in the file 'disk' on it"
            )
        }
        return contents
    }

    private static func parse(_ text: String) -> Contents? {
        var contents = Contents()
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3, lines.removeLast().isEmpty,
            let isEven = flag(lines.removeFirst(), "even"), let isLacking = flag(lines.removeFirst(), "lacking")
        else { return nil }
        contents.isEven = isEven
        contents.isLacking = isLacking
        for line in lines {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, words[0] == "disk", let id = DiskID(words[1]) else { return nil }
            contents.disks.append(Contents.Entry(id: id, path: String(words[2])))
        }
        return contents
    }

    private static func flag(_ line: Substring, _ name: String) -> Bool? {
        switch line {
        case "\(name) yes": true
        case "\(name) no": false
        default: nil
        }
    }

    /// Durable when it returns; writes nothing when nothing changes.
    ///
    /// Blocks.
    func change(_ body: (inout Contents) -> Void) throws(StorageNodeError) {
        let result: Result<Void, StorageNodeError> = contents.withLockedValue { contents in
            var next = contents
            body(&next)
            guard next != contents else { return .success(()) }
            return Result { () throws(StorageNodeError) in
                try file.replace(with: Self.text(next))
                contents = next
            }
        }
        try result.get()
    }

    /// As ``change(_:)``, on a thread that may block.
    func update(_ body: @escaping @Sendable (inout Contents) -> Void) async throws {
        try await NIOThreadPool.singleton.runIfActive { try self.change(body) }
    }

    private static func text(_ contents: Contents) -> String {
        let disks = contents.disks.map { "disk \($0.id) \($0.path)\n" }.joined()
        return "even \(contents.isEven ? "yes" : "no")\nlacking \(contents.isLacking ? "yes" : "no")\n\(disks)"
    }
}
