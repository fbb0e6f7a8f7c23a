// SPDX-License-Identifier: Apache-2.0

import DICOM
package import DICOMNetworking
package import DIMSE
package import Logging
package import NIOCore

/// Answers C-MOVE (PS3.4 section C.4.2): instances go to an application entity of the configuration, over associations of
/// our own.
///
/// One value serves all associations and keeps nothing between requests.
package struct MoveService: Sendable {
    private let destinations: [AETitle: MoveDestination]
    private let aeTitle: AETitle
    private let selection: InstanceSelection
    private let retrieve: RetrieveService
    private let group: any EventLoopGroup
    /// How long a destination may take over an answer, or over reading what it is sent.
    private let responseTimeout: TimeAmount
    private let logger: Logger

    package init(
        destinations: [AETitle: MoveDestination],
        aeTitle: AETitle,
        selection: InstanceSelection,
        retrieve: RetrieveService,
        group: any EventLoopGroup,
        responseTimeout: TimeAmount = .seconds(60),
        logger: Logger
    ) {
        self.destinations = destinations
        self.aeTitle = aeTitle
        self.selection = selection
        self.retrieve = retrieve
        self.group = group
        self.responseTimeout = responseTimeout
        self.logger = logger
    }

    package func answer(
        _ request: QueryRetrieveRequest,
        exchange: RequestExchange,
        requestor: AETitle
    ) async -> QueryRetrieveResponse {
        do throws(QueryRefusal) {
            guard let title = request.moveDestination, let destination = destinations[title] else {
                throw QueryRefusal(.moveDestinationUnknown, "the move destination is not configured here")
            }
            let (syntax, instances) = try await selection.instances(request)
            var suboperations = Suboperations(
                count: instances.count,
                retrieve: retrieve,
                exchange: exchange,
                priority: request.priority,
                moveOriginator: (aeTitle: requestor, messageID: request.messageID),
                logger: logger
            )
            let isCancelled = await send(instances, to: destination, title, &suboperations)
            return suboperations.finalResponse(isCancelled: isCancelled, syntax: syntax)
        } catch {
            logger.notice(
                "retrieval refused",
                metadata: ["status": "\(error.status)", "reason": "\(error.comment)"]
            )
            return QueryRetrieveResponse(error)
        }
    }

    /// Sends all instances, over one association after the other; returns whether the requestor cancelled.
    ///
    /// An association that breaks is followed by another for what is left, unless it did not take the first.
    private func send(
        _ instances: [StoredInstance],
        to destination: MoveDestination,
        _ title: AETitle,
        _ suboperations: inout Suboperations
    ) async -> Bool {
        var configuration = DICOMClientConfiguration(
            host: destination.host,
            port: destination.port,
            callingAETitle: aeTitle,
            calledAETitle: title
        )
        configuration.responseTimeout = responseTimeout
        let client = DICOMClient(configuration: configuration, group: group, logger: logger)
        var rest = instances[...]
        while !rest.isEmpty {
            let batch = MoveBatch(of: rest)
            let association: DICOMAssociation
            do throws(DICOMNetworkError) {
                association = try await client.connect(contexts: batch.contexts)
            } catch {
                report(error, destination)
                suboperations.fail(rest)
                return false
            }
            let (doneCount, interruption) = await suboperations.send(Array(batch.instances), to: association)
            rest = rest.dropFirst(doneCount)
            switch interruption {
            case nil:
                // Losing the error is right: everything is answered, and the peer may close as it likes.
                try? await association.release()
            case .cancelled:
                // The same.
                try? await association.release()
                return true
            case .associationFailed(let error):
                report(error, destination)
                await association.abort()
                // A data set that could not be read is no fault of the destination's.
                if doneCount <= 1, !(error.cause is RetrieveFailure) {
                    suboperations.fail(rest)
                    return false
                }
            }
        }
        return false
    }

    private func report(_ error: DICOMNetworkError, _ destination: MoveDestination) {
        logger.warning(
            "a move destination cannot be reached or broke off",
            metadata: ["destination": "\(destination.aeTitle)", "reason": "\(error)"]
        )
    }
}
