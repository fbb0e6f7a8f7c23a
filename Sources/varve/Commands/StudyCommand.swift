// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve study ...`: what is stored, and where its copies are.
struct StudyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "study",
        abstract: "List studies, show their copies, move them into packs and back, hold, tag and delete them.",
        subcommands: [
            StudyListCommand.self, StudyShowCommand.self, StudyDeleteCommand.self, StudyUndeleteCommand.self,
            StudyTrashCommand.self, StudyMoveCommand.self, StudyRecallCommand.self, StudyGiveUpCommand.self,
            StudyHoldCommand.self, StudyReleaseCommand.self, StudyHoldsCommand.self, StudyTagCommand.self,
        ]
    )
}

/// `varve study list`.
struct StudyListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the studies, newest received first.",
        discussion: "Example: varve study list --limit 20"
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "How many studies at most.") var limit = 100

    func run() async throws {
        let path = "/api/v1/studies?limit=\(limit)"
        if server.json {
            FileHandle.standardOutput.write(try await AdminClient(server).get(path))
            return
        }
        let studies = try await AdminClient(server).get(path, as: [StudyReport].self)
        guard !studies.isEmpty else {
            output("no studies yet: send some with 'varve store FOLDER'")
            return
        }
        var table = TextTable(
            ["STUDY", "PATIENT", "DATE", "MODALITY", "SERIES", "INSTANCES", "RECEIVED", "STORED", "RATIO"],
            rightAligned: [4, 5, 6, 7, 8]
        )
        for study in studies {
            table.add([
                study.studyInstanceUID, study.patientID, study.studyDate, study.modalities.joined(separator: ","),
                String(study.series), String(study.instances), readableBytes(study.receivedBytes),
                readableBytes(study.storedBytes), String(format: "%.2f", study.compressionRatio),
            ])
        }
        output(table.text)
    }
}

/// `varve study show UID`.
struct StudyShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show a study's instances and where every copy is; exit status 1 when a copy is missing or damaged.",
        discussion: "Example: varve study show 1.2.840.113619.2.5 --verify"
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String
    @Flag(help: "Read every copy and check all its checksums, not only that it is there.") var verify = false

    func run() async throws {
        guard study.utf8.allSatisfy({ $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else {
            throw ValidationError("'\(study)' is not a UID: UIDs consist of digits and dots")
        }
        let body = try await AdminClient(server).get("/api/v1/studies/\(study)\(verify ? "?verify=true" : "")")
        let detail = try JSONDecoder().decode(StudyDetailReport.self, from: body)
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            output(text(of: detail))
        }
        if detail.incompleteInstances > 0 { throw ExitCode(1) }
    }

    private func text(of detail: StudyDetailReport) -> String {
        let study = detail.study
        var lines = [
            "study       \(study.studyInstanceUID)",
            "patient     \(study.patientID) \(study.patientName)",
            "date        \(study.studyDate)   modalities \(study.modalities.joined(separator: ","))",
            "received    \(study.receivedAt)",
            "size        \(readableBytes(study.receivedBytes)) received, \(readableBytes(study.storedBytes)) stored a copy"
                + String(format: " (ratio %.2f)", study.compressionRatio),
        ]
        for codec in detail.codecs {
            lines.append(
                "codec       \(codec.codec) for series \(codec.seriesInstanceUID) (\(codec.scope)): \(codec.trial)"
            )
        }
        lines += policy(of: detail)
        lines.append("")
        let isRecalling = detail.recalls?.contains { $0.state == "under way" } ?? false
        let cold = isRecalling ? "recalling" : "in packs only"
        var table = TextTable(["INSTANCE", "STORED AS", "BYTES", "COPIES"], rightAligned: [2])
        for instance in detail.instances {
            let copies = instance.copies.map { copy in
                "\(copy.node) \(copy.state)" + (copy.reason.map { " (\($0))" } ?? "")
            }
            table.add([
                instance.sopInstanceUID, instance.storedTransferSyntax, String(instance.storedBytes),
                instance.isPacked == true ? cold : copies.joined(separator: ", "),
            ])
        }
        lines.append(table.text)
        lines.append("")
        lines += packs(of: detail)
        let how = detail.verified ? "read and verified" : "present"
        if detail.incompleteInstances == 0 {
            lines.append("all \(detail.instances.count) instances have \(detail.wantedCopies) good copies (\(how))")
        } else {
            lines.append(
                "\(detail.incompleteInstances) of \(detail.instances.count) instances have fewer than"
                    + " \(detail.wantedCopies) good copies; they are listed above"
            )
        }
        return lines.joined(separator: "\n")
    }

    private func policy(of detail: StudyDetailReport) -> [String] {
        guard let policy = detail.policy else { return [] }
        var lines = [
            "policy      \(policy.policy) by \(policy.rule ?? "default") of version \(policy.version) since \(policy.since)"
                + (policy.nextDue.map { ", next looked at \($0)" } ?? "")
        ]
        if let marked = policy.markedAt {
            lines.append("expires     marked \(marked); goes \(policy.expiresAt ?? "when the rules are enabled")")
        }
        if !policy.holds.isEmpty { lines.append("held by     \(policy.holds.joined(separator: ", "))") }
        if !policy.tags.isEmpty { lines.append("tags        \(policy.tags.joined(separator: ", "))") }
        return lines
    }

    private func packs(of detail: StudyDetailReport) -> [String] {
        var lines: [String] = []
        for move in detail.moves ?? [] {
            lines.append(
                "move \(move.id)      to \(move.tier), ordered \(move.requestedAt): \(move.state)"
                    + (move.note.isEmpty ? "" : " (\(move.note))")
            )
        }
        for recall in detail.recalls ?? [] {
            lines.append(
                "recall \(recall.id)    ordered \(recall.requestedAt): \(recall.state), \(recall.instances) of"
                    + " \(recall.wantedInstances) instances are back" + (recall.note.isEmpty ? "" : " (\(recall.note))")
            )
        }
        let packs = detail.packs ?? []
        guard !packs.isEmpty else { return lines.isEmpty ? [] : lines + [""] }
        var table = TextTable(
            ["PACK", "TIER", "PART", "STATE", "INSTANCES", "BYTES", "WRITTEN", "VERIFIED"],
            rightAligned: [4, 5]
        )
        for pack in packs {
            table.add([
                "\(pack.place)/\(pack.key)", pack.tier, "\(pack.part) of \(pack.parts)",
                pack.state + (pack.note.isEmpty ? "" : " (\(pack.note))"), String(pack.instances), String(pack.bytes),
                pack.writtenAt ?? "-", pack.verifiedAt ?? "-",
            ])
        }
        return lines + [table.text, ""]
    }
}
