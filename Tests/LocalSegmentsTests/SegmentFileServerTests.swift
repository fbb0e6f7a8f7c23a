// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LocalSegments
import NIOCore
import ReplicationProtocol
import SegmentStore
import Testing

/// The socket where files are given, and those who misuse it.
@Suite(.timeLimit(.minutes(5)))
struct SegmentFileServerTests {
    /// Connects, sends `bytes`, and ends; true when anything but a refusal came.
    private static func isAnswered(_ path: String, _ bytes: [UInt8]) -> Bool {
        let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected else { return false }
        // MSG_NOSIGNAL, which is imported as one type or another.
        send(socket, bytes, bytes.count, 0x4000)
        Glibc.shutdown(socket, CInt(SHUT_WR))
        var answer: UInt8 = 9
        return recv(socket, &answer, 1, 0) == 1 && answer == 0
    }

    @Test func `what is no request gets no file, and others go on being served`() async throws {
        try await Node.with { node in
            try await node.add(1)
            let server = try node.serve()
            var generator = SystemRandomNumberGenerator()
            for count in [0, 1, 23, 24, 24, 24, 100] {
                let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                #expect(!Self.isAnswered(node.socket, bytes))
            }
            let (records, id) = (node.records(), try Node.id(1))
            records.note(try node.places([id]), of: [id])
            #expect(try await eventually { records.read(id, range: nil) } == Node.payload(1))
            await server.shutdown()
        }
    }

    @Test func `only files of segments that hold records are given`() async throws {
        try await Node.with { node in
            try await node.add(1)
            let server = try node.serve()
            let id = try Node.id(1)
            let place = try #require(try node.places([id])[0])
            for (disk, segment) in [(2, place.segment), (0, place.segment), (1, place.segment + 1), (1, .max)] {
                let records = node.records()
                var wrong = place
                wrong.disk = UInt16(disk)
                wrong.segment = segment
                records.note([wrong], of: [id])
                // It is asked for nothing more for a while: the file was refused.
                try await eventually { records.wantsPlace(of: id) ? nil : () }
                #expect(records.read(id, range: nil) == nil)
            }
            await server.shutdown()
        }
    }

    @Test func `only this user may connect, and a socket left behind is in nobody's way`() async throws {
        try await Node.with { node in
            let server = try node.serve()
            let mode = try FileManager.default.attributesOfItem(atPath: node.socket)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            // As after a process that was killed.
            let next = try node.serve()
            await server.shutdown()
            await next.shutdown()
            #expect(!FileManager.default.fileExists(atPath: node.socket))
        }
    }

    @Test func `a directory that is not there is named`() async throws {
        try await Node.with { node in
            let error = #expect(throws: SegmentFileServerError.self) {
                _ = try SegmentFileServer(path: "/nonexistent/x.segs", logger: Node.quiet) { _, _ in nil }
            }
            #expect(error?.description.contains("/nonexistent/x.segs") == true)
        }
    }
}
