// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import DICOMNetworking
import DICOMWeb
package import NIOCore

/// Where instances that come by HTTP go: the store pipeline in production, a list in tests.
package protocol InstanceReceiver: Sendable {
    /// Parts with more bytes go to the spool.
    var maximumInMemoryByteCount: Int { get }

    /// A place in the spool for a data set.
    func makeIntake() -> SpoolIntake

    /// Stores a Part 10 stream; with `study`, only when it is of that study.
    func receive(_ file: ByteBuffer, study: String?) async -> ReceivedOutcome

    /// Stores a data set that lies in memory.
    func receive(_ dataSet: ByteBuffer, transferSyntax: TransferSyntax, study: String?) async -> ReceivedOutcome

    /// Stores a data set that is still arriving in the spool.
    func receive(_ dataSet: SpooledDataSet, transferSyntax: TransferSyntax, study: String?) async -> ReceivedOutcome
}

/// What became of an instance.
package struct ReceivedOutcome: Sendable, Hashable {
    package enum Result: Sendable, Hashable {
        case stored
        /// Stored, with a Warning Reason of PS3.18 table I.2-1.
        case storedWithWarning(UInt16)
        /// With a Failure Reason of PS3.18 table I.2-2, and in words.
        case failed(UInt16, String)
    }

    package var result: Result
    /// Empty as far as the data set could not be read.
    package var sopClassUID = ""
    package var sopInstanceUID = ""
    package var studyInstanceUID = ""
    package var seriesInstanceUID = ""

    package init(_ result: Result) { self.result = result }

    /// What a failure of the store path is in a response.
    init(_ failure: StoreFailure) {
        self.init(.failed(failure.kind.failureReason, failure.reason))
    }
}

extension StoreFailure.Kind {
    /// Failure Reason (0008,1197), PS3.18 table I.2-2.
    fileprivate var failureReason: UInt16 {
        switch self {
        case .malformed: StoreInstancesResponse.cannotUnderstand
        case .mismatch: StoreInstancesResponse.dataSetMismatch
        case .conflict: StoreInstancesResponse.duplicateInstance
        case .deleted: StoreInstancesResponse.notAuthorized
        case .unavailable: StoreInstancesResponse.outOfResources
        case .processing: StoreInstancesResponse.processingFailure
        }
    }
}
