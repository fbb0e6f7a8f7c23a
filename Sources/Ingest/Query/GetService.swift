// SPDX-License-Identifier: Apache-2.0

import DICOM
package import DICOMNetworking
import DIMSE
package import Logging

/// Answers C-GET (PS3.4 section C.4.3): instances go back over the association that asks for them.
///
/// One value serves all associations and keeps nothing between requests.
package struct GetService: Sendable {
    private let selection: InstanceSelection
    private let retrieve: RetrieveService
    private let logger: Logger

    package init(selection: InstanceSelection, retrieve: RetrieveService, logger: Logger) {
        self.selection = selection
        self.retrieve = retrieve
        self.logger = logger
    }

    package func answer(_ request: QueryRetrieveRequest, exchange: RequestExchange) async -> QueryRetrieveResponse {
        do throws(QueryRefusal) {
            let (syntax, instances) = try await selection.instances(request)
            var suboperations = Suboperations(
                count: instances.count,
                retrieve: retrieve,
                exchange: exchange,
                priority: request.priority,
                logger: logger
            )
            let (_, interruption) = await suboperations.send(instances, to: exchange)
            // A failed association has nobody at its end to read the answer.
            return suboperations.finalResponse(isCancelled: interruption != nil, syntax: syntax)
        } catch {
            logger.notice(
                "retrieval refused",
                metadata: ["status": "\(error.status)", "reason": "\(error.comment)"]
            )
            return QueryRetrieveResponse(error)
        }
    }
}

extension InstanceSelection {
    /// What a request asks for, and the transfer syntax that it is answered in.
    func instances(
        _ request: QueryRetrieveRequest
    ) async throws(QueryRefusal) -> (syntax: TransferSyntax, instances: [StoredInstance]) {
        let identifier = try request.readIdentifier()
        let keys = try RetrieveKeys(identifier.dataSet, model: request.sopClass.model)
        do throws(RetrieveFailure) {
            return (identifier.syntax, try await instances(keys))
        } catch {
            throw QueryRefusal(error)
        }
    }
}
