// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Checksums
import ColdStore
import DICOM
import Foundation
import PackFormat

/// `varve pack check PACK...`: reads packs whole and proves every digest in them.
struct PackCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Read packs whole and prove every byte; exit status 1 and a list when anything is wrong.",
        discussion: """
            Each instance is compared with its SHA-256 and CRC-32, everything else with the digests of the pack. The SHA-256 \
            of the whole pack is printed, to be compared with the one that 'varve pack create' printed.

            Example: varve pack check file:///mnt/nas/varve/3fa/1.2.840.1/5f0c3f9e-7a54-4a26-9a0a-6d0a1c1b2e3d.zip
            """
    )

    @Argument(help: "Files, or URLs like file:///DIRECTORY/PACK.zip or s3://BUCKET/KEY.") var packs: [String]
    @OptionGroup var bucket: BucketOptions
    @Flag(help: "Print JSON: a list of packs with what is wrong with them.") var json = false

    private struct Report: Encodable {
        struct Finding: Encodable {
            let path: String?
            let offset: UInt64?
            let message: String
        }

        let place: String
        var study: String?
        var instances: Int?
        var byteCount: UInt64?
        var sha256: String?
        var findings: [Finding] = []
    }

    func run() async throws {
        var reports: [Report] = []
        for place in packs {
            let report = try await check(place)
            reports.append(report)
            if !json { show(report) }
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            output(String(decoding: try encoder.encode(reports), as: UTF8.self))
        }
        if reports.contains(where: { !$0.findings.isEmpty }) { throw ExitCode(1) }
    }

    private func check(_ place: String) async throws -> Report {
        var report = Report(place: place)
        do {
            let (manifest, result) = try await PackPlace.read(place, bucket, fromDisk: true) { pack in
                let manifest = try await pack.packManifest()
                var progress = PackProgress(total: pack.byteCount)
                return (manifest, try await pack.verifyPack(manifest) { progress.add($0) })
            }
            report.study = manifest.description.studyInstanceUID.string
            report.instances = manifest.entries.count
            report.byteCount = result.byteCount
            report.sha256 = result.digest.description
            report.findings = result.findings.map { finding in
                Report.Finding(path: finding.path, offset: finding.offset, message: finding.message)
            }
        } catch let error as ColdStoreError {
            report.findings = [Report.Finding(path: nil, offset: nil, message: error.message)]
        }
        return report
    }

    private func show(_ report: Report) {
        guard report.findings.isEmpty else {
            for finding in report.findings {
                let path = finding.path.map { ": \($0)" } ?? ""
                let offset = finding.offset.map { " (byte \($0))" } ?? ""
                output("\(report.place)\(path): \(finding.message)\(offset)")
            }
            return
        }
        output(
            "\(report.place): sound, \(report.instances ?? 0) instances of study \(report.study ?? ""),"
                + " \(report.byteCount ?? 0) bytes, sha256 \(report.sha256 ?? "")"
        )
    }
}
