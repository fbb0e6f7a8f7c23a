// SPDX-License-Identifier: Apache-2.0

import DICOM
package import DICOMNetworking
package import DIMSE
package import Logging
package import NIOCore

/// Answers C-MOVE (PS3.4 section C.4.2): instances go to an application entity of the configuration, over associations of
/// our own, at most `associationCount` at once for each request.
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
    private let associationCount: Int
    private let logger: Logger

    package init(
        destinations: [AETitle: MoveDestination],
        aeTitle: AETitle,
        selection: InstanceSelection,
        retrieve: RetrieveService,
        group: any EventLoopGroup,
        responseTimeout: TimeAmount = .seconds(60),
        associationCount: Int,
        logger: Logger
    ) {
        self.destinations = destinations
        self.aeTitle = aeTitle
        self.selection = selection
        self.retrieve = retrieve
        self.group = group
        self.responseTimeout = responseTimeout
        self.associationCount = associationCount
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
            let suboperations = Suboperations(
                count: instances.count,
                retrieve: retrieve,
                exchange: exchange,
                priority: request.priority,
                moveOriginator: (aeTitle: requestor, messageID: request.messageID),
                logger: logger
            )
            let delivery = MoveDelivery(
                client: client(of: destination, title),
                suboperations: suboperations,
                exchange: exchange,
                associationCount: associationCount,
                logger: logger
            )
            let isCancelled = await delivery.send(instances)
            return suboperations.finalResponse(isCancelled: isCancelled, syntax: syntax)
        } catch {
            logger.notice(
                "retrieval refused",
                metadata: ["status": "\(error.status)", "reason": "\(error.comment)"]
            )
            return QueryRetrieveResponse(error)
        }
    }

    private func client(of destination: MoveDestination, _ title: AETitle) -> DICOMClient {
        var configuration = DICOMClientConfiguration(
            host: destination.host,
            port: destination.port,
            callingAETitle: aeTitle,
            calledAETitle: title
        )
        configuration.responseTimeout = responseTimeout
        return DICOMClient(configuration: configuration, group: group, logger: logger)
    }
}
