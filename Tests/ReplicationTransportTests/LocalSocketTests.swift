// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// A node on the same host is reached by its Unix socket, and by its port when there is none.
@Suite(.timeLimit(.minutes(5)))
struct LocalSocketTests {
    /// A port at which nobody listens.
    private static func deadPort() async throws -> Int {
        let channel = try await ServerBootstrap(group: Loopback.group).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        try await channel.close()
        return port
    }

    /// Runs `body` with a directory for sockets and the path of the node's.
    private static func withDirectory(_ body: (_ socket: String) async throws -> Void) async throws {
        let directory = "/tmp/varve-sockets-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = LocalSocket.path(of: Loopback.node, in: directory)
        try await body(try #require(path))
    }

    /// Binds a socket as a process does that is then killed.
    private static func leaveSocketBehind(at path: String) {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { bytes in bytes.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(status == 0)
        close(descriptor)
    }

    private static func exchange(_ client: ReplicationClient, _ number: UInt64) async throws {
        let record = TestRecord(number, byteCount: 3_000_000)
        #expect(try await client.put(record.request, payload: record.payload) == .stored)
        #expect(try await client.get(record.request.recordID) == record.payload)
    }

    @Test func aNodeIsReachedByItsSocketWhateverItsPort() async throws {
        let dead = try await Self.deadPort()
        try await Self.withDirectory { socket in
            try await Loopback.run(FakeService(), localSocket: socket) { _ in
                try await Loopback.withClient(port: dead, localSocket: socket) { client in
                    try await Self.exchange(client, 1)
                }
            }
            #expect(!FileManager.default.fileExists(atPath: socket))
        }
    }

    @Test func withoutASocketTheNodeIsReachedByItsPort() async throws {
        try await Self.withDirectory { socket in
            try await Loopback.run(FakeService()) { loopback in
                try await Loopback.withClient(port: loopback.port, localSocket: socket) { client in
                    try await Self.exchange(client, 2)
                }
            }
        }
    }

    /// A killed process leaves its socket's file behind.
    @Test func aSocketThatNobodyListensAtIsPassedOverAndTakenOver() async throws {
        let dead = try await Self.deadPort()
        try await Self.withDirectory { socket in
            Self.leaveSocketBehind(at: socket)
            #expect(FileManager.default.fileExists(atPath: socket))
            try await Loopback.run(FakeService()) { loopback in
                try await Loopback.withClient(port: loopback.port, localSocket: socket) { client in
                    try await Self.exchange(client, 3)
                }
            }
            try await Loopback.run(FakeService(), localSocket: socket) { _ in
                try await Loopback.withClient(port: dead, localSocket: socket) { client in
                    try await Self.exchange(client, 4)
                }
            }
        }
    }

    /// Somebody else took the path: whoever answers there wrongly is not asked again at once.
    @Test func anotherListenerAtTheSocketDoesNotKeepTheNodeAway() async throws {
        try await Self.withDirectory { socket in
            let stranger = try await ServerBootstrap(group: Loopback.group)
                .childChannelInitializer { channel in channel.close() }
                .bind(unixDomainSocketPath: socket).get()
            try await Loopback.run(FakeService()) { loopback in
                try await Loopback.withClient(port: loopback.port, localSocket: socket) { client in
                    try await client.waitUntilConnected()
                    try await Self.exchange(client, 5)
                }
            }
            try await stranger.close()
        }
    }

    @Test func aDirectoryThatIsNotThereIsAnError() async throws {
        let error = await #expect(throws: ReplicationError.self) {
            try await Loopback.run(FakeService(), localSocket: "/tmp/varve-no-such-directory/node.sock") { _ in }
        }
        #expect(error?.message.contains("its directory must exist") == true)
    }

    @Test func aPathThatNoSocketCanHaveIsNone() {
        #expect(LocalSocket.path(of: Loopback.node, in: String(repeating: "d", count: 80)) == nil)
        #expect(!LocalSocket.isUsable(String(repeating: "d", count: 80)))
        #expect(LocalSocket.isUsable("/var/lib/varve/run"))
    }
}
