// SPDX-License-Identifier: Apache-2.0

package import DICOMNetworking
import NIOConcurrencyHelpers

/// The associations that requests for commitment came by, as long as they are not reported.
///
/// Lost with the process: then reports go over associations of our own.
package final class CommitmentReporters: Sendable {
    private let reporters = NIOLockedValueBox<[Int64: EventReporter]>([:])

    package init() {}

    /// The association that a request came by last.
    package subscript(commitment: Int64) -> EventReporter? {
        get { reporters.withLockedValue { $0[commitment] } }
        set { reporters.withLockedValue { $0[commitment] = newValue } }
    }
}
