// SPDX-License-Identifier: Apache-2.0

import Checksums
package import NIOCore
package import Placement

/// What an ingest node owes the catalog: one record that is durable on its nodes and not yet entered.
///
/// Only what the record itself cannot tell, and enough to name it in a message; everything else is read from the record
/// when it is entered.
package struct JournalEntry: Hashable, Sendable {
    package var recordID: RecordID
    /// The nodes that acknowledged a copy.
    package var nodes: [NodeID]
    package var studyInstanceUID: String
    package var sopInstanceUID: String

    package init(recordID: RecordID, nodes: [NodeID], studyInstanceUID: String, sopInstanceUID: String) {
        self.recordID = recordID
        self.nodes = nodes
        self.studyInstanceUID = studyInstanceUID
        self.sopInstanceUID = sopInstanceUID
    }
}

/// The bytes of a journal file.
///
/// A header, then entries one after another, integers little endian:
///
///     header   "VJRN", version 1, three zero bytes
///     entry    length of what follows the checksum (2), CRC32C of that (4), record id (16),
///              count of nodes (1), node ids (16 each), length (1) and Study Instance UID,
///              length (1) and SOP Instance UID
///
/// The first entry that is cut short or does not match its checksum ends the file: what follows was never acknowledged,
/// since a file that failed to be written or synced takes no more.
package enum JournalFormat {
    package static let header: [UInt8] = Array("VJRN".utf8) + [1, 0, 0, 0]

    package static func append(_ entry: JournalEntry, to buffer: inout ByteBuffer) {
        var body = ByteBuffer()
        body.writeBytes(entry.recordID.bytes)
        let nodes = entry.nodes.prefix(255)
        body.writeInteger(UInt8(nodes.count))
        for node in nodes {
            body.writeInteger(node.high)
            body.writeInteger(node.low)
        }
        for uid in [entry.studyInstanceUID, entry.sopInstanceUID] {
            let bytes = uid.utf8.prefix(255)
            body.writeInteger(UInt8(bytes.count))
            body.writeBytes(bytes)
        }
        buffer.writeInteger(UInt16(body.readableBytes), endianness: .little)
        buffer.writeInteger(CRC32C.checksum(of: body), endianness: .little)
        buffer.writeBuffer(&body)
    }

    /// The entries of a file up to its end or the first that is not whole; `isWhole` says which.
    ///
    /// Nil when it is no journal file, or one of a later version.
    package static func read(_ file: ByteBuffer) -> (entries: [JournalEntry], isWhole: Bool)? {
        var file = file
        guard file.readableBytes >= header.count else { return ([], file.readableBytes == 0) }
        guard file.readBytes(length: header.count) == header else { return nil }
        var entries: [JournalEntry] = []
        while file.readableBytes > 0 {
            guard let entry = readEntry(&file) else { return (entries, false) }
            entries.append(entry)
        }
        return (entries, true)
    }

    private static func readEntry(_ file: inout ByteBuffer) -> JournalEntry? {
        guard let length = file.readInteger(endianness: .little, as: UInt16.self),
            let checksum = file.readInteger(endianness: .little, as: UInt32.self),
            var body = file.readSlice(length: Int(length)), CRC32C.checksum(of: body) == checksum,
            let id = body.readBytes(length: RecordID.byteCount).flatMap({ RecordID(bytes: $0) }),
            let count = body.readInteger(as: UInt8.self)
        else { return nil }
        var nodes: [NodeID] = []
        for _ in 0..<count {
            guard let high = body.readInteger(as: UInt64.self), let low = body.readInteger(as: UInt64.self) else {
                return nil
            }
            nodes.append(NodeID(high: high, low: low))
        }
        guard let study = readUID(&body), let instance = readUID(&body), body.readableBytes == 0 else { return nil }
        return JournalEntry(recordID: id, nodes: nodes, studyInstanceUID: study, sopInstanceUID: instance)
    }

    private static func readUID(_ body: inout ByteBuffer) -> String? {
        body.readInteger(as: UInt8.self).flatMap { body.readString(length: Int($0)) }
    }
}
