// SPDX-License-Identifier: Apache-2.0

package import Catalog
import DICOM
import DICOMNetworking
import DIMSE
import Logging
import NIOCore

/// Brings a report to whoever asked for the commitment.
package protocol CommitmentDelivering: Sendable {
    /// Returns when the requestor has taken the report.
    func deliver(_ commitment: Commitment, failures: [Int]) async throws(CommitmentUndelivered)

    /// The request is done with, or another process's now.
    func forget(_ commitment: Int64)
}

/// Why a report did not arrive; for people.
package struct CommitmentUndelivered: Error, Sendable, Hashable {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }
}

/// Reports over the association that the request came by, while it lasts, or one of our own to the requestor's address
/// among the configured destinations (PS3.4 section J.3.3).
package struct CommitmentDelivery: CommitmentDelivering {
    private let reporters: CommitmentReporters
    private let destinations: [AETitle: MoveDestination]
    private let group: any EventLoopGroup
    private let logger: Logger

    init(
        reporters: CommitmentReporters,
        destinations: [AETitle: MoveDestination],
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.reporters = reporters
        self.destinations = destinations
        self.group = group
        self.logger = logger
    }

    package func forget(_ commitment: Int64) { reporters[commitment] = nil }

    package func deliver(_ commitment: Commitment, failures: [Int]) async throws(CommitmentUndelivered) {
        if let reporter = reporters[commitment.id] {
            do throws(DICOMNetworkError) {
                let report = try Self.report(commitment, failures, syntax: reporter.transferSyntax)
                return try Self.accept(try await reporter.report(report))
            } catch {
                // Most requestors release at once and wait to be called.
                reporters[commitment.id] = nil
                logger.debug("no report over the requestor's association", metadata: ["reason": "\(error)"])
            }
        }
        let requestor = commitment.request.requestor
        guard let title = try? AETitle(requestor), let destination = destinations[title] else {
            throw CommitmentUndelivered(
                "the association has ended, and there is no address for AE title \(requestor); add it to 'destinations'"
            )
        }
        do throws(DICOMNetworkError) {
            try await call(destination, title, commitment, failures)
        } catch {
            throw CommitmentUndelivered("\(destination.aeTitle) at \(destination.host):\(destination.port): \(error)")
        }
    }

    private func call(
        _ destination: MoveDestination,
        _ title: AETitle,
        _ commitment: Commitment,
        _ failures: [Int]
    ) async throws(DICOMNetworkError) {
        guard let called = try? AETitle(commitment.request.called) else {
            throw DICOMNetworkError(.usage, "the request was made to no AE title")
        }
        var configuration = DICOMClientConfiguration(
            host: destination.host,
            port: destination.port,
            callingAETitle: called,
            calledAETitle: title
        )
        configuration.responseTimeout = .seconds(60)
        let client = DICOMClient(configuration: configuration, group: group, logger: logger)
        let sopClass = StorageCommitment.sopClassUID
        let association = try await client.connect(
            contexts: DICOMClient.contexts([
                (sopClass, [UIDText.explicitVRLittleEndian, UIDText.implicitVRLittleEndian])
            ]),
            roles: [RoleSelection(sopClassUID: sopClass, isSCU: false, isSCP: true)]
        )
        guard let context = association.contexts.accepted.first else {
            // Losing the error is right: there is nothing more to say to this peer.
            try? await association.release()
            throw DICOMNetworkError(.contextNotAccepted, "the peer does not take reports of storage commitment")
        }
        let report = try Self.report(commitment, failures, syntax: context.transferSyntax)
        let status = try await association.report(report, contextID: context.id)
        // The same: the report has been answered.
        try? await association.release()
        try Self.accept(status)
    }

    private static func report(
        _ commitment: Commitment,
        _ failures: [Int],
        syntax: String
    ) throws(DICOMNetworkError) -> EventReport {
        do {
            guard let syntax = TransferSyntax.known(syntax) else {
                throw DICOMNetworkError(.usage, "the transfer syntax \(syntax) is not known")
            }
            return EventReport(
                sopClassUID: StorageCommitment.sopClassUID,
                sopInstanceUID: StorageCommitment.sopInstanceUID,
                eventTypeID: failures.allSatisfy { $0 == 0 }
                    ? StorageCommitment.successEventTypeID : StorageCommitment.failuresEventTypeID,
                information: try CommitmentInformation.write(
                    commitment.request,
                    failures: failures,
                    aeTitle: commitment.request.called,
                    syntax: syntax
                )
            )
        } catch {
            throw DICOMNetworkError(.usage, "the report cannot be written", cause: error)
        }
    }

    private static func accept(_ status: DIMSEStatus) throws(DICOMNetworkError) {
        guard status.isSuccess || status.isWarning else {
            throw DICOMNetworkError(.usage, "the requestor answered the report with \(status)")
        }
    }
}
