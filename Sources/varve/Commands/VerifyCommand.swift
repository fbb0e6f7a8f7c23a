// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve verify`: the proof that nothing is missing.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract:
            "Prove the archive: the catalog against the copies and, with --deep, the copies against their digests.",
        discussion: """
            Without --deep, every copy that the catalog names is looked for on its node, and every record on a node in the \
            catalog. With it, every copy is read from its disk as well, and all its checksums and its SHA-256 are compared; \
            others go before. Cold packs with instances that are on no node are read whole by storage nodes, as the \
            coordinator orders. Ends with a verdict, and with exit status 1 and a list when anything is not as it should be. \
            Changes nothing itself, may be interrupted at any time, and goes on from where it was with --from. Copies that are \
            missing are told to the coordinator, which asks again and has them made from good ones.

            Example: varve verify --deep
            """
    )

    /// Placement groups of a cluster.
    private static let groupCount = 1024

    @OptionGroup var server: ServerOptions
    @Flag(help: "All of the archive, which is what it does anyway.") var all = false
    @Flag(help: "Read every copy.") var deep = false
    @Option(help: "Begin at this placement group, from 0 to 1023, as an interrupted run said.") var from = 0
    @Option(help: "Leave out records without a row received in the last so many seconds: their store may be under way.")
    var grace = 600

    func validate() throws {
        guard (0..<Self.groupCount).contains(from) else { throw ValidationError("--from must be from 0 to 1023") }
    }

    func run() async throws {
        let client = AdminClient(server)
        var total = VerificationTotal(isDeep: deep)
        let start = ContinuousClock.now
        var lastWord = start
        if deep {
            // First: what is found of packs says what is lost.
            let report = try await PackProof(client: client, from: from).run()
            if !server.json { for finding in report.findings { output(Self.line(finding)) } }
            total.add(report)
        }
        for group in from..<Self.groupCount {
            var after: String?
            repeat {
                let place = after.map { "&after=\($0)" } ?? ""
                let path = "/api/v1/verify?group=\(group)&deep=\(deep)&grace=\(grace)\(place)"
                let page: VerificationReport
                do {
                    page = try await client.post(path, as: VerificationReport.self)
                } catch {
                    complain("stopped within group \(group); go on with: varve verify --from \(group)")
                    throw error
                }
                if !server.json { for finding in page.findings { output(Self.line(finding)) } }
                total.add(page)
                after = page.next
                if ContinuousClock.now - lastWord > .seconds(3) {
                    complain("group \(group) of \(Self.groupCount): \(total.words(since: start))")
                    lastWord = .now
                }
            } while after != nil
        }
        if server.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            FileHandle.standardOutput.write(try encoder.encode(total) + Data("\n".utf8))
        } else {
            output(total.verdict(since: start))
        }
        if !total.isSound { throw ExitCode(1) }
    }

    private static func line(_ finding: VerificationReport.Finding) -> String {
        let place = finding.node.isEmpty ? "" : " on \(finding.node)"
        let instance = finding.sopInstanceUID.isEmpty ? "" : " instance \(finding.sopInstanceUID)"
        let study = finding.studyInstanceUID.isEmpty ? "" : " of study \(finding.studyInstanceUID)"
        return "\(finding.kind.rawValue)\(place): record \(finding.record)\(instance)\(study): \(finding.reason)"
    }
}

/// The pages of all groups together.
private struct VerificationTotal: Encodable {
    let isDeep: Bool
    var instances = 0
    var goodCopies = 0
    var readBytes: Int64 = 0
    var young = 0
    var trashed = 0
    var uncounted = 0
    /// Instances in packs that are sound: as they were read last, and with `--deep` those of the packs that were read now.
    var packed = 0
    var packs = 0
    var packedProven = 0
    var packBytes: Int64 = 0
    var findings: [VerificationReport.Finding] = []
    var silentNodes: Set<String> = []

    init(isDeep: Bool) { self.isDeep = isDeep }

    var isSound: Bool { findings.isEmpty && silentNodes.isEmpty }

    mutating func add(_ page: VerificationReport) {
        instances += page.instances
        goodCopies += page.goodCopies
        readBytes += page.readBytes
        young += page.young
        trashed += page.trashed
        uncounted += page.uncounted
        packed += page.packed ?? 0
        findings += page.findings
        silentNodes.formUnion(page.silentNodes)
    }

    mutating func add(_ report: PackVerificationReport) {
        packs += report.packs
        packedProven += report.instances
        packBytes += report.readBytes
        findings += report.findings
    }

    func words(since start: ContinuousClock.Instant) -> String {
        let seconds = max(0.001, Double((ContinuousClock.now - start).components.seconds))
        let read =
            isDeep ? ", \(readableBytes(readBytes)) read (\(readableBytes(Int64(Double(readBytes) / seconds)))/s)" : ""
        var cold = packed > 0 ? ", \(packed) instances in packs only" : ""
        if packs > 0 { cold += ", \(packs) packs with \(packedProven) instances (\(readableBytes(packBytes))) read" }
        return "\(instances) instances, \(goodCopies) good copies\(read)\(cold), \(findings.count) findings"
    }

    func verdict(since start: ContinuousClock.Instant) -> String {
        var lines: [String] = []
        if !silentNodes.isEmpty {
            lines.append("nodes that did not answer: \(silentNodes.sorted().joined(separator: ", "))")
        }
        if young > 0 { lines.append("\(young) records are too young to be judged") }
        if trashed > 0 { lines.append("\(trashed) records of the trash are not yet deleted on every node") }
        if uncounted > 0 {
            lines.append(
                "\(uncounted) copies that the catalog does not name are being dropped, or counted when it is compared"
            )
        }
        if findings.contains(where: { $0.kind == .missingCopy }) {
            lines.append("the coordinator looks at missing copies and has them made again: see 'varve status'")
        }
        let isUnproven = silentNodes.isEmpty && findings.allSatisfy { $0.kind == .offlinePack }
        lines.append("\(isSound ? "sound" : isUnproven ? "NOT PROVEN" : "NOT SOUND"): \(words(since: start))")
        return lines.joined(separator: "\n")
    }
}
