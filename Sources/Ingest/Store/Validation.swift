// SPDX-License-Identifier: Apache-2.0

import DICOM
import Logging

/// What is done with a data set that can be read and filed, but breaks a rule of the standard.
public enum ValidationPolicy: String, Sendable, CaseIterable {
    /// Taken without a check: old modalities break rules every day, and their images are needed.
    case accept
    /// Taken, with a warning to the sender (B007H) and the findings in the log.
    case warn
    /// Refused with the first finding.
    case refuse
    /// Refused, and kept as a file beside its findings for someone to look at.
    case quarantine
}

extension StorePipeline {
    /// Checks an instance as the policy says.
    ///
    /// - Returns: what to warn the sender of; nil when there is nothing.
    /// - Throws: `.malformed` for an instance that is not taken; the reason names tags and rules.
    func validate(
        _ instance: ReceivedInstance,
        spooled source: SpooledSource? = nil
    ) async throws(StoreFailure) -> String? {
        guard validation != .accept else { return nil }
        let report = DataSetCheck.check(instance.reading, transferSyntax: instance.transferSyntax)
        guard let first = report.findings.first(where: { $0.severity == .error }) else { return nil }
        let summary = report.errorCount == 1 ? "\(first)" : "\(first) and \(report.errorCount - 1) more errors"
        logger.notice(
            "an instance breaks rules of the standard",
            metadata: [
                "policy": "\(validation.rawValue)", "errors": "\(report.errorCount)",
                "findings": "\(Self.words(report))",
            ]
        )
        logger.debug("it is this instance", metadata: ["instance": "\(instance.sopInstanceUID)"])
        switch validation {
        case .accept, .warn: return summary
        case .refuse: throw StoreFailure(.malformed, summary)
        case .quarantine:
            try await quarantine.keep(instance, spooled: source, findings: report, threads: spoolThreads)
            throw StoreFailure(.malformed, "kept in quarantine: \(summary)")
        }
    }

    private static func words(_ report: CheckReport) -> String {
        report.findings.prefix(5).map { "\($0)" }.joined(separator: "; ")
    }
}
