// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import DICOMWeb
import NIOCore

/// Hands instances that come by HTTP to the store pipeline, the same that serves C-STORE.
struct PipelineReceiver: InstanceReceiver {
    /// The longest data set taken, in bytes, as by C-STORE.
    private static let maximumDataSetByteCount = 1 << 36

    let pipeline: StorePipeline
    let aeTitle: String
    let maximumInMemoryByteCount: Int

    func makeIntake() -> SpoolIntake {
        SpoolIntake(
            directory: pipeline.spoolDirectory,
            maximumByteCount: Self.maximumDataSetByteCount,
            pool: pipeline.spoolThreads
        )
    }

    func receive(_ file: ByteBuffer, study: String?) async -> ReceivedOutcome {
        do throws(StoreFailure) {
            let (syntax, dataSet) = try PartReception.split(file)
            return await receive(dataSet, transferSyntax: syntax, study: study)
        } catch {
            return ReceivedOutcome(error)
        }
    }

    func receive(_ dataSet: ByteBuffer, transferSyntax: TransferSyntax, study: String?) async -> ReceivedOutcome {
        await receive(study: study) { () throws(StoreFailure) in
            try ReceivedInstance(
                head: dataSet,
                transferSyntax: transferSyntax,
                expectedSOPClass: "",
                expectedSOPInstance: ""
            )
        } store: { instance, sender throws(StoreFailure) in
            try await pipeline.store(instance, from: sender)
        }
    }

    func receive(_ dataSet: SpooledDataSet, transferSyntax: TransferSyntax, study: String?) async -> ReceivedOutcome {
        let source = SpooledSource(dataSet: dataSet)
        return await receive(study: study) { () throws(StoreFailure) in
            try await source.instance(
                transferSyntax: transferSyntax,
                expectedSOPClass: "",
                expectedSOPInstance: "",
                threads: pipeline.spoolThreads
            )
        } store: { instance, sender throws(StoreFailure) in
            try await pipeline.store(instance, spooled: source, from: sender)
        }
    }

    private func receive(
        study: String?,
        read: () async throws(StoreFailure) -> ReceivedInstance,
        store: (ReceivedInstance, StorePipeline.Sender) async throws(StoreFailure) -> StorePipeline.Outcome
    ) async -> ReceivedOutcome {
        let instance: ReceivedInstance
        do throws(StoreFailure) {
            instance = try await read()
        } catch {
            return ReceivedOutcome(error)
        }
        var outcome = ReceivedOutcome(.stored)
        do throws(StoreFailure) {
            guard study == nil || study == instance.studyInstanceUID else {
                throw StoreFailure(.mismatch, "the instance is not of the study that the URL names")
            }
            let sender = StorePipeline.Sender(callingAETitle: "", calledAETitle: aeTitle)
            if case .storedWithWarning = try await store(instance, sender) {
                outcome.result = .storedWithWarning(StoreInstancesResponse.dataSetDoesNotMatchSOPClass)
            }
        } catch {
            outcome = ReceivedOutcome(error)
        }
        outcome.sopClassUID = instance.sopClassUID
        outcome.sopInstanceUID = instance.sopInstanceUID
        outcome.studyInstanceUID = instance.studyInstanceUID
        outcome.seriesInstanceUID = instance.seriesInstanceUID
        return outcome
    }
}
