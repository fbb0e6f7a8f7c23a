// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// What all connections of one server share: settings, counts, and the list of open channels.
///
/// Used from every event loop of the server; the counts are behind a lock.
final class ServerState: Sendable {
    let configuration: DICOMServerConfiguration
    let policy: NegotiationPolicy
    let service: any DIMSEService
    let spoolPool: NIOThreadPool
    let logger: Logger
    private let counts = NIOLockedValueBox(Counts())

    private struct Counts {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var associationCount = 0
        var runningRequestCount = 0
        var nextAssociationID: UInt64 = 1
        var isDraining = false
        var idlePromise: EventLoopPromise<Void>?

        /// The promise to fulfil, once, when nothing is left.
        mutating func takeIdlePromiseIfIdle() -> EventLoopPromise<Void>? {
            guard self.channels.isEmpty, self.runningRequestCount == 0 else { return nil }
            defer { self.idlePromise = nil }
            return self.idlePromise
        }
    }

    init(configuration: DICOMServerConfiguration, service: any DIMSEService, logger: Logger) {
        self.configuration = configuration
        let servesGet = configuration.queryRetrieveSOPClasses.keys.contains { uid in
            QueryRetrieveSOPClass(uid: uid)?.operation == .get
        }
        self.policy = NegotiationPolicy(
            transferSyntaxes: configuration.transferSyntaxes,
            allowsRequestorSCP: { uid in servesGet && configuration.acceptsStorage(ofSOPClass: uid) },
            acceptsAbstractSyntax: { uid in
                uid == UIDText.verification || configuration.acceptsStorage(ofSOPClass: uid)
                    || configuration.queryRetrieveSOPClasses[uid] != nil
                    || configuration.actionSOPClasses.contains(uid)
            }
        )
        self.service = service
        self.logger = logger
        self.spoolPool = NIOThreadPool(numberOfThreads: max(configuration.spoolThreadCount, 1))
    }

    /// Whether a new connection may stay.
    func connectionOpened(_ channel: any Channel) -> Bool {
        let limit = self.configuration.maximumAssociations + self.configuration.maximumSurplusConnections
        return self.counts.withLockedValue { counts in
            guard !counts.isDraining, counts.channels.count < limit else { return false }
            counts.channels[ObjectIdentifier(channel)] = channel
            return true
        }
    }

    func connectionClosed(_ channel: any Channel) {
        let promise = self.counts.withLockedValue { counts in
            counts.channels[ObjectIdentifier(channel)] = nil
            return counts.takeIdlePromiseIfIdle()
        }
        promise?.succeed(())
    }

    /// Takes one of the places for associations, or says why not.
    func takeAssociation() -> Result<UInt64, AssociateReject> {
        self.counts.withLockedValue { counts in
            guard !counts.isDraining else { return .failure(.temporaryCongestion) }
            guard counts.associationCount < self.configuration.maximumAssociations else {
                return .failure(.localLimitExceeded)
            }
            counts.associationCount += 1
            defer { counts.nextAssociationID += 1 }
            return .success(counts.nextAssociationID)
        }
    }

    func giveBackAssociation() {
        self.counts.withLockedValue { $0.associationCount -= 1 }
    }

    func requestStarted() {
        self.counts.withLockedValue { $0.runningRequestCount += 1 }
    }

    func requestEnded() {
        let promise = self.counts.withLockedValue { counts in
            counts.runningRequestCount -= 1
            return counts.takeIdlePromiseIfIdle()
        }
        promise?.succeed(())
    }

    var servesQueryRetrieve: Bool { !self.configuration.queryRetrieveSOPClasses.isEmpty }

    var associationCount: Int { self.counts.withLockedValue { $0.associationCount } }
    var connectionCount: Int { self.counts.withLockedValue { $0.channels.count } }
    var runningRequestCount: Int { self.counts.withLockedValue { $0.runningRequestCount } }

    /// Refuses everything new from now on; `promise` succeeds when nothing is left.
    ///
    /// Returns the open channels.
    func startDraining(_ promise: EventLoopPromise<Void>) -> [any Channel] {
        let (channels, idle) = self.counts.withLockedValue { counts in
            counts.isDraining = true
            counts.idlePromise = promise
            return (Array(counts.channels.values), counts.takeIdlePromiseIfIdle())
        }
        idle?.succeed(())
        return channels
    }

    /// Stops waiting for what is left.
    ///
    /// Returns how many requests still run.
    func abandon() -> Int {
        let (promise, running) = self.counts.withLockedValue { counts in
            defer { counts.idlePromise = nil }
            return (counts.idlePromise, counts.runningRequestCount)
        }
        promise?.succeed(())
        return running
    }

    var openChannels: [any Channel] { self.counts.withLockedValue { Array($0.channels.values) } }
}

/// What a server tells its connections.
enum ServerEvent: Sendable {
    /// Finish what is being received and worked on, then abort the association.
    case drain
    /// Abort now, cancel the running request.
    case abort
}
