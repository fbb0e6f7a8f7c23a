// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import Logging
import NIOCore
import NIOPosix

let ctStorage = "1.2.840.10008.5.1.4.1.1.2"

let quietLogger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// A running server, for the time of `body`.
struct Serving {
    let server: DICOMServer
    let port: Int

    static func run(
        _ service: TestService = TestService(),
        configure: (inout DICOMServerConfiguration) -> Void = { _ in },
        gracePeriod: Duration = .zero,
        _ body: (Serving) async throws -> Void
    ) async throws {
        var configuration = DICOMServerConfiguration(aeTitle: try AETitle("VARVE"), host: "127.0.0.1", port: 0)
        configure(&configuration)
        let server = DICOMServer(
            configuration: configuration,
            service: service,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: quietLogger
        )
        let port = try await server.start()
        do {
            try await body(Serving(server: server, port: port))
        } catch {
            await server.shutdown(gracePeriod: gracePeriod)
            throw error
        }
        await server.shutdown(gracePeriod: gracePeriod)
    }

    /// As `run`, with query and retrieval of these SOP classes, and a peer that has not associated yet.
    static func withPeer(
        _ service: TestService,
        _ sopClasses: [String: QueryRetrieveOptions],
        configure: (inout DICOMServerConfiguration) -> Void = { _ in },
        _ body: (Serving, RawPeer) async throws -> Void
    ) async throws {
        try await run(
            service,
            configure: {
                $0.queryRetrieveSOPClasses = sopClasses
                configure(&$0)
            },
            { serving in
                let peer = try await RawPeer.connect(port: serving.port)
                try await body(serving, peer)
                peer.channel.close(promise: nil)
            }
        )
    }

    static func client(
        port: Int,
        calling: String = "TEST",
        configure: (inout DICOMClientConfiguration) -> Void = { _ in }
    ) throws -> DICOMClient {
        var configuration = DICOMClientConfiguration(
            host: "127.0.0.1",
            port: port,
            callingAETitle: try AETitle(calling),
            calledAETitle: try AETitle("VARVE")
        )
        configure(&configuration)
        return DICOMClient(
            configuration: configuration,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: quietLogger
        )
    }

    /// An association for CT storage and verification.
    func associate(
        calling: String = "TEST",
        configure: (inout DICOMClientConfiguration) -> Void = { _ in }
    ) async throws -> DICOMAssociation {
        try await Self.client(port: self.port, calling: calling, configure: configure).connect(
            contexts: DICOMClient.contexts([
                (ctStorage, [UIDText.explicitVRLittleEndian]), (UIDText.verification, [UIDText.implicitVRLittleEndian]),
            ])
        )
    }

    /// Whether the server still works.
    func isAlive() async throws -> Bool {
        let association = try await self.associate()
        let status = try await association.echo()
        try await association.release()
        return status.isSuccess
    }
}

extension DICOMAssociation {
    func storeCT(_ dataSet: ByteBuffer, instance: String) async throws(DICOMNetworkError) -> StoreResponse {
        try await self.store(
            dataSet,
            sopClassUID: ctStorage,
            sopInstanceUID: instance,
            transferSyntax: UIDText.explicitVRLittleEndian
        )
    }
}

/// Bytes that differ from place to place, so that a lost or repeated piece shows.
func pattern(_ byteCount: Int, seed: Int = 0) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.reserveCapacity(byteCount + patternBlock.readableBytes)
    while buffer.readableBytes < byteCount {
        let start = buffer.writerIndex
        buffer.writeImmutableBuffer(patternBlock)
        buffer.setInteger(UInt64(truncatingIfNeeded: seed &* 1_000_003 &+ start), at: start)
    }
    buffer.moveWriterIndex(to: byteCount)
    return buffer
}

/// 4 KiB of bytes without order; made once, because debug builds make them slowly.
private let patternBlock: ByteBuffer = {
    var buffer = ByteBuffer()
    var value: UInt64 = 1
    for _ in 0..<512 {
        value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        buffer.writeInteger(value)
    }
    return buffer
}()
