// SPDX-License-Identifier: Apache-2.0

public import DIMSE
public import Logging
import NIOConcurrencyHelpers
public import NIOCore
import NIOPosix

/// Settings of a `DICOMClient`.
public struct DICOMClientConfiguration: Sendable {
    public var host: String
    public var port: Int
    public var callingAETitle: AETitle
    public var calledAETitle: AETitle
    public var connectTimeout: TimeAmount = .seconds(10)
    /// For the answers to A-ASSOCIATE-RQ and A-RELEASE-RQ, and for the peer's close (PS3.8 ARTIM).
    public var artimTimeout: TimeAmount = .seconds(30)
    /// For each response, counted from the last progress in sending its request.
    public var responseTimeout: TimeAmount = .minutes(5)
    /// What we tell the peer: bytes of a P-DATA-TF PDU after its 6-byte header.
    public var maximumPDULength: UInt32 = 128 * 1024
    /// What we send at most, also where the peer has no limit.
    public var maximumSentPDULength: Int = 128 * 1024
    public var implementationClassUID = VarveImplementation.classUID
    public var implementationVersionName = VarveImplementation.versionName

    public init(host: String, port: Int, callingAETitle: AETitle, calledAETitle: AETitle) {
        self.host = host
        self.port = port
        self.callingAETitle = callingAETitle
        self.calledAETitle = calledAETitle
    }
}

/// Opens associations to another application entity.
public struct DICOMClient: Sendable {
    public let configuration: DICOMClientConfiguration
    private let group: any EventLoopGroup
    private let logger: Logger

    public init(configuration: DICOMClientConfiguration, group: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.group = group
        self.logger = logger
    }

    /// The most presentation contexts of one association.
    public static let maximumContexts = 128

    /// Numbers contexts as an association request needs them: odd ids from 1.
    ///
    /// - Precondition: at most `maximumContexts`.
    public static func contexts(_ proposals: [(sopClass: String, transferSyntaxes: [String])]) -> [ProposedContext] {
        precondition(proposals.count <= Self.maximumContexts, "an association carries at most 128 contexts")
        return proposals.enumerated().map { index, proposal in
            ProposedContext(
                id: UInt8(2 * index + 1),
                abstractSyntax: proposal.sopClass,
                transferSyntaxes: proposal.transferSyntaxes
            )
        }
    }

    /// Connects and negotiates; `roles` are those that this side wants to have (PS3.7 section D.3.3.4).
    ///
    /// Throws `.rejected` with the peer's reason where it does not want the association, `.closed` when the task is cancelled
    /// before there is one.
    public func connect(
        contexts: [ProposedContext],
        roles: [RoleSelection] = []
    ) async throws(DICOMNetworkError) -> DICOMAssociation {
        guard (1...Self.maximumContexts).contains(contexts.count) else {
            throw DICOMNetworkError(.usage, "an association needs 1 to 128 contexts, not \(contexts.count)")
        }
        let configuration = self.configuration
        let logger = self.logger
        let eventLoop = self.group.next()
        let established = eventLoop.makePromise(of: AssociationClientHandler.Established.self)
        let connecting = NIOLockedValueBox<(channel: (any Channel)?, isCancelled: Bool)>((nil, false))
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(configuration.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = AssociationClientHandler(
                        configuration: configuration,
                        contexts: contexts,
                        roles: roles,
                        established: established,
                        logger: logger
                    )
                    let acknowledging = QuickAcknowledgementHandler(while: { handler.isPeerToSpeak })
                    try channel.pipeline.syncOperations.addHandlers(acknowledging, handler)
                    connecting.withLockedValue { $0.channel = channel }
                }
            }
        return try await Self.cancelling {
            // Closed, the channel ends the promise; before there is one, nothing has been asked of the peer.
            let channel = connecting.withLockedValue { connecting in
                connecting.isCancelled = true
                return connecting.channel
            }
            channel?.close(promise: nil)
        } _: { () throws(DICOMNetworkError) in
            do {
                _ = try await bootstrap.connect(host: configuration.host, port: configuration.port).get()
            } catch {
                let failure = DICOMNetworkError(
                    .connectFailed,
                    "cannot connect to \(configuration.host) port \(configuration.port)",
                    cause: error
                )
                established.fail(failure)
                throw failure
            }
            if connecting.withLockedValue({ $0.isCancelled }) {
                connecting.withLockedValue { $0.channel }?.close(promise: nil)
            }
            return DICOMAssociation(try await DICOMAssociation.value(of: established.futureResult))
        }
    }

    /// `withTaskCancellationHandler` for errors of this target.
    private static func cancelling<Value: Sendable>(
        _ onCancel: @escaping @Sendable () -> Void,
        _ body: () async throws(DICOMNetworkError) -> Value
    ) async throws(DICOMNetworkError) -> Value {
        let result: Result<Value, DICOMNetworkError> = await withTaskCancellationHandler {
            do throws(DICOMNetworkError) {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        } onCancel: {
            onCancel()
        }
        return try result.get()
    }
}
