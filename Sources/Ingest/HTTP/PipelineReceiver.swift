// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import NIOCore

/// Hands instances that come by HTTP to the store pipeline, the same that serves C-STORE.
struct PipelineReceiver: InstanceReceiver {
    let pipeline: StorePipeline
    let aeTitle: String

    func receive(_ file: ByteBuffer, study: String?) async -> ReceivedOutcome {
        let instance: ReceivedInstance
        do {
            instance = try Self.read(file)
        } catch {
            return ReceivedOutcome(.failed(error.kind.failureReason, error.reason))
        }
        var outcome = ReceivedOutcome(.stored)
        outcome.sopClassUID = instance.sopClassUID
        outcome.sopInstanceUID = instance.sopInstanceUID
        outcome.studyInstanceUID = instance.studyInstanceUID
        outcome.seriesInstanceUID = instance.seriesInstanceUID
        if let study, study != instance.studyInstanceUID {
            outcome.result = .failed(
                StoreInstancesResponse.dataSetMismatch,
                "the instance is not of the study that the URL names"
            )
            return outcome
        }
        do {
            let sender = StorePipeline.Sender(callingAETitle: "", calledAETitle: aeTitle)
            _ = try await pipeline.store(instance, from: sender)
        } catch {
            outcome.result = .failed(error.kind.failureReason, error.reason)
        }
        return outcome
    }

    /// The file's own meta information names the syntax; what the part's header declares is not to be trusted.
    private static func read(_ file: ByteBuffer) throws(StoreFailure) -> ReceivedInstance {
        let header: Part10.Header
        do throws(DICOMError) {
            header = try Part10.readHeader(file)
        } catch {
            throw StoreFailure(.malformed, "\(error)")
        }
        guard let syntax = header.transferSyntax, let dataSet = file.slice(from: header.dataSetOffset) else {
            throw StoreFailure(.malformed, "its transfer syntax is not known")
        }
        return try ReceivedInstance(
            head: dataSet,
            transferSyntax: syntax,
            expectedSOPClass: "",
            expectedSOPInstance: ""
        )
    }
}

extension StoreFailure.Kind {
    /// Failure Reason (0008,1197), PS3.18 table I.2-2.
    fileprivate var failureReason: UInt16 {
        switch self {
        case .malformed: StoreInstancesResponse.cannotUnderstand
        case .mismatch: StoreInstancesResponse.dataSetMismatch
        case .conflict: StoreInstancesResponse.duplicateInstance
        case .unavailable: StoreInstancesResponse.outOfResources
        case .processing: StoreInstancesResponse.processingFailure
        }
    }
}
