// SPDX-License-Identifier: Apache-2.0

import Foundation
import Ingest

/// Has the packs read whole that have instances which are on no node, and waits for it: a part of `varve verify --deep`.
struct PackProof {
    private static let interval = Duration.seconds(1)
    private static let wordInterval = Duration.seconds(3)
    /// How long nobody may lead before what is left is said not to have been read.
    private static let leaderlessPatience = Duration.seconds(60)

    let client: AdminClient
    /// The first placement group.
    let from: Int

    /// Has them read, and says what came of it.
    func run() async throws -> PackVerificationReport {
        let wanted = try await client.post("/api/v1/verify/packs?from=\(from)", as: PackVerificationReport.self)
        guard wanted.packs > 0 else { return wanted }
        var lastWord = ContinuousClock.now
        var leaderless: ContinuousClock.Instant?
        var report = try await progress(of: wanted)
        while report.waiting > 0 {
            if report.isLed {
                leaderless = nil
            } else if ContinuousClock.now - (leaderless ?? .now) > Self.leaderlessPatience {
                complain("no coordinator leads: \(report.waiting) packs are not read")
                break
            } else {
                leaderless = leaderless ?? .now
            }
            if ContinuousClock.now - lastWord > Self.wordInterval {
                complain(
                    "packs: \(report.packs - report.waiting) of \(report.packs) read, \(report.instances) instances,"
                        + " \(readableBytes(report.readBytes))"
                )
                lastWord = .now
            }
            try await Task.sleep(for: Self.interval)
            report = try await progress(of: wanted)
        }
        var after: String?
        repeat {
            let place = after.map { "&after=\($0)" } ?? ""
            let page = try await client.get(
                "/api/v1/verify/packs/findings?since=\(wanted.since)&from=\(from)\(place)",
                as: PackVerificationReport.self
            )
            report.findings += page.findings
            after = page.next
        } while after != nil
        return report
    }

    private func progress(of wanted: PackVerificationReport) async throws -> PackVerificationReport {
        try await client.get(
            "/api/v1/verify/packs?since=\(wanted.since)&from=\(from)",
            as: PackVerificationReport.self
        )
    }
}
