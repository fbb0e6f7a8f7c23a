// SPDX-License-Identifier: Apache-2.0

import CPlatform
import Glibc
import SegmentFormat

/// What a process sends to a storage node on the same host to be given one of its segment files.
///
/// 24 bytes, little endian: magic 4, version 2, disk 2, segment 8, eight zeros. The answer is one byte, 0, with the open file, or
/// another byte and no file. One request a connection.
struct SegmentFileRequest: Hashable, Sendable {
    /// "VSF1".
    private static let magic: UInt32 = 0x3146_5356
    private static let version: UInt16 = 1
    static let byteCount = 24
    /// How long either side waits for the other.
    static let patienceMilliseconds: CInt = 1000

    /// The answer that comes with a file, and the one that comes without.
    static let given: UInt8 = 0
    static let refused: UInt8 = 1

    /// As in `FilePlace`.
    var disk: UInt16
    var segment: SegmentID

    init(disk: UInt16, segment: SegmentID) {
        self.disk = disk
        self.segment = segment
    }

    /// `nil` for anything that is no request of this version.
    init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, Self.integer(bytes, at: 0, 4) == UInt64(Self.magic),
            Self.integer(bytes, at: 4, 2) == UInt64(Self.version), Self.integer(bytes, at: 16, 8) == 0
        else { return nil }
        disk = UInt16(Self.integer(bytes, at: 6, 2))
        segment = SegmentID(rawValue: Self.integer(bytes, at: 8, 8))
    }

    var bytes: [UInt8] {
        Self.bytes(UInt64(Self.magic), 4) + Self.bytes(UInt64(Self.version), 2) + Self.bytes(UInt64(disk), 2)
            + Self.bytes(segment.rawValue, 8) + Self.bytes(0, 8)
    }

    private static func integer(_ bytes: [UInt8], at offset: Int, _ count: Int) -> UInt64 {
        bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    /// Asks the node that listens at `path`; `nil` when it does not give the file, or nobody answers within a second.
    ///
    /// Blocks.
    func ask(at path: String) -> CInt? {
        let socket = varve_local_connect(path, Self.patienceMilliseconds)
        guard socket >= 0 else { return nil }
        defer { close(socket) }
        let request = bytes
        guard varve_local_send(socket, request, CInt(request.count)) == 0 else { return nil }
        var answer = Self.refused
        var descriptor: CInt = -1
        guard varve_local_receive_file(socket, &answer, &descriptor) == 0, descriptor >= 0 else { return nil }
        guard answer == Self.given else {
            close(descriptor)
            return nil
        }
        return descriptor
    }
}

/// Where a storage node gives its files.
package enum SegmentFileSocket {
    /// Within `directory`, beside the socket for VRP.
    package static func path(of node: String, in directory: String) -> String { "\(directory)/\(node).segs" }
}
