// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import DIMSE
import Logging
import NIOCore
import Telemetry

/// Takes instances over DIMSE, through the ``StorePipeline``.
///
/// One value serves all associations; requests of one association come one after the other.
final class StoreService: Sendable {
    private let pipeline: StorePipeline
    private let aeTitle: AETitle
    private let metrics: StoreMetrics
    private let logger: Logger

    init(pipeline: StorePipeline, aeTitle: AETitle, metrics: StoreMetrics, logger: Logger) {
        self.pipeline = pipeline
        self.aeTitle = aeTitle
        self.metrics = metrics
        self.logger = logger
    }

    /// Accepts every caller that calls us by our AE title.
    func negotiate(_ request: AssociationRequestInfo) -> AssociationDecision {
        guard request.calledAETitle == aeTitle else {
            logger.notice(
                "association refused: it calls another AE title",
                metadata: ["called": "\(request.calledAETitle)", "calling": "\(request.callingAETitle)"]
            )
            return .reject(.calledAETitleNotRecognized)
        }
        return .accept
    }

    func store(
        _ request: StoreRequest,
        dataSet: ReceivedDataSet,
        context: AssociationContext
    ) async -> StoreResponse {
        let clock = ContinuousClock()
        let start = clock.now
        do throws(StoreFailure) {
            let outcome = try await take(request, dataSet: dataSet, context: context)
            metrics.stored(outcome, after: clock.now - start)
            if case .storedWithWarning(let text) = outcome {
                return StoreResponse(.dataSetDoesNotMatchSOPClassWarning, errorComment: text)
            }
            return .success
        } catch {
            metrics.failed(error.kind)
            logger.warning(
                "instance not stored",
                metadata: [
                    "reason": "\(error.reason)", "calling": "\(context.callingAETitle)",
                    "association": "\(context.associationID)",
                ]
            )
            return StoreResponse(error.kind.status, errorComment: error.reason)
        }
    }

    private func take(
        _ request: StoreRequest,
        dataSet: ReceivedDataSet,
        context: AssociationContext
    ) async throws(StoreFailure) -> StorePipeline.Outcome {
        guard let syntax = TransferSyntax.known(request.transferSyntax) else {
            throw StoreFailure(.malformed, "the transfer syntax \(request.transferSyntax) is not known")
        }
        let sender = StorePipeline.Sender(
            callingAETitle: context.callingAETitle.description,
            calledAETitle: context.calledAETitle.description
        )
        switch dataSet {
        case .memory(let bytes):
            let instance = try ReceivedInstance(
                head: bytes,
                transferSyntax: syntax,
                expectedSOPClass: request.affectedSOPClassUID,
                expectedSOPInstance: request.affectedSOPInstanceUID
            )
            return try await pipeline.store(instance, from: sender)
        case .file(let spooled):
            let source = SpooledSource(dataSet: spooled)
            let instance = try await source.instance(
                transferSyntax: syntax,
                expectedSOPClass: request.affectedSOPClassUID,
                expectedSOPInstance: request.affectedSOPInstanceUID,
                threads: pipeline.spoolThreads
            )
            return try await pipeline.store(instance, spooled: source, from: sender)
        }
    }
}

extension StoreFailure.Kind {
    /// PS3.4 §B.2.3, PS3.7 annex C.
    fileprivate var status: DIMSEStatus {
        switch self {
        case .malformed: .cannotUnderstand
        case .mismatch: .dataSetDoesNotMatchSOPClass
        case .conflict: .duplicateSOPInstance
        // Not 0111H, which some senders take for success.
        case .deleted: .notAuthorized
        case .unavailable: .outOfResources
        case .processing: .processingFailure
        }
    }
}
