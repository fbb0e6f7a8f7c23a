// SPDX-License-Identifier: Apache-2.0

import DICOM
package import NIOCore

/// Where instances that come by HTTP go: the store pipeline in production, a list in tests.
package protocol InstanceReceiver: Sendable {
    /// Stores a Part 10 stream; with `study`, only when it is of that study.
    func receive(_ file: ByteBuffer, study: String?) async -> ReceivedOutcome
}

/// What became of an instance.
package struct ReceivedOutcome: Sendable, Hashable {
    package enum Result: Sendable, Hashable {
        case stored
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
}
