// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
package import DICOMNetworking
package import DIMSE
package import Logging

/// Answers N-ACTION of the Storage Commitment Push Model (PS3.4 section J.3.2): success means that the request is kept,
/// and will be answered whatever becomes of this process.
package struct CommitmentService: Sendable {
    private let ledger: any CommitmentLedger
    private let reporters: CommitmentReporters
    private let holder: String
    private let logger: Logger

    package init(ledger: any CommitmentLedger, reporters: CommitmentReporters, holder: String, logger: Logger) {
        self.ledger = ledger
        self.reporters = reporters
        self.holder = holder
        self.logger = logger
    }

    package func act(
        _ action: ActionRequest,
        reporter: EventReporter,
        requestor: AETitle,
        called: AETitle
    ) async -> ActionResponse {
        let response = await enter(action, reporter: reporter, requestor: requestor, called: called)
        if !response.status.isSuccess {
            logger.notice(
                "request for storage commitment refused",
                metadata: [
                    "requestor": "\(requestor)", "status": "\(response.status)",
                    "reason": "\(response.errorComment ?? "")",
                ]
            )
        }
        return response
    }

    private func enter(
        _ action: ActionRequest,
        reporter: EventReporter,
        requestor: AETitle,
        called: AETitle
    ) async -> ActionResponse {
        guard action.sopInstanceUID == StorageCommitment.sopInstanceUID else {
            return ActionResponse(.noSuchObjectInstance, errorComment: "not the well-known instance")
        }
        guard action.actionTypeID == StorageCommitment.requestActionTypeID else {
            return ActionResponse(.noSuchAction, errorComment: "Action Type ID must be 1")
        }
        guard let syntax = TransferSyntax.known(action.transferSyntax) else {
            return ActionResponse(.processingFailure, errorComment: "the transfer syntax is not known")
        }
        let request: CommitmentRequest
        do throws(CommitmentInformation.Refusal) {
            request = try CommitmentInformation.read(
                action.information,
                syntax: syntax,
                requestor: requestor.value,
                called: called.value
            )
        } catch {
            return ActionResponse(.invalidArgumentValue, errorComment: error.reason)
        }
        do throws(CatalogError) {
            let id = try await ledger.enterCommitment(request, claimedBy: holder, for: CommitmentWorker.claim)
            guard let id else {
                return ActionResponse(
                    .duplicateInvocation,
                    errorComment: "the transaction is under way with other instances"
                )
            }
            reporters[id] = reporter
            logger.info(
                "storage commitment requested",
                metadata: [
                    "requestor": "\(requestor)", "commitment": "\(id)",
                    "instances": "\(request.instances.count)",
                ]
            )
            return ActionResponse(.success)
        } catch {
            logger.warning("a request for storage commitment cannot be kept", metadata: ["reason": "\(error)"])
            return ActionResponse(.processingFailure, errorComment: "the catalog is away; ask again later")
        }
    }
}
