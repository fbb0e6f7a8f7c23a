// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve study hold`.
struct StudyHoldCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold",
        abstract: "Place a legal hold: nothing of what it holds is deleted, and nothing expires, until it is released.",
        discussion: """
            Example: varve study hold 1.2.840.113619.2.5 --name "case 12/2027" --reason "asked for by the court"
            Example: varve study hold --patient 4711 --name trial-7 --reason "evidence of the trial"
            Example: varve study hold --query 'ModalitiesInStudy=MG&StudyDate=-20151231' --name audit --reason "audit of 2027"
            A hold of a patient holds studies that come later, too; one of a query those that it finds now.
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String?
    @Option(help: "A Patient ID: all studies of the patient.") var patient: String?
    @Option(help: "The issuer of the Patient ID; without it, of any issuer.") var issuer: String?
    @Option(help: "A search of QIDO-RS: KEY=VALUE&KEY=VALUE.") var query: String?
    @Option(help: "What people call the hold.") var name: String
    @Option(help: "Why; kept for ever with the hold.") var reason: String

    func validate() throws {
        guard [study, patient, query].compactMap({ $0 }).count == 1 else {
            throw ValidationError("name a study, or --patient, or --query")
        }
        guard issuer == nil || patient != nil else { throw ValidationError("--issuer goes with --patient") }
        if let study { try requireUID(study) }
        for (option, text) in [("--name", name), ("--reason", reason)] where text.allSatisfy(\.isWhitespace) {
            throw ValidationError("\(option) must not be empty")
        }
    }

    func run() async throws {
        let request = HoldRequest(
            name: name,
            reason: reason,
            study: study,
            patientID: patient,
            issuer: issuer,
            query: query
        )
        let body = try await AdminClient(server).send("POST", "/api/v1/holds", body: JSONEncoder().encode(request))
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let report = try JSONDecoder().decode(HoldReport.self, from: body)
        output("hold \(report.number) holds \(report.studies) studies; 'varve study release \(report.number)' ends it")
    }
}

/// `varve study release`.
struct StudyReleaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Release a legal hold, by its number in 'varve study holds'.",
        discussion: """
            Other holds of the same studies stay.

            Example: varve study release 3 --reason "the case is closed"
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The number of the hold.") var number: Int64
    @Option(help: "Why; kept for ever with the hold.") var reason: String

    func validate() throws {
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
    }

    func run() async throws {
        let body = try await AdminClient(server).send(
            "POST",
            "/api/v1/holds/\(number)/release",
            body: JSONEncoder().encode(HoldReleaseRequest(reason: reason))
        )
        if server.json { FileHandle.standardOutput.write(body) } else { output("hold \(number) is released") }
    }
}

/// `varve study holds`.
struct StudyHoldsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holds",
        abstract: "List legal holds, the last first.",
        discussion: "Example: varve study holds --study 1.2.840.113619.2.5"
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "Those that hold this study.") var study: String?
    @Option(help: "How many holds at most.") var limit = 100
    @Flag(help: "Also those that were released.") var all = false

    func validate() throws {
        if let study { try requireUID(study) }
    }

    func run() async throws {
        let path = "/api/v1/holds?limit=\(limit)&all=\(all)" + (study.map { "&study=\($0)" } ?? "")
        let body = try await AdminClient(server).get(path)
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let holds = try JSONDecoder().decode([HoldReport].self, from: body)
        guard !holds.isEmpty else {
            output("there are no holds")
            return
        }
        var table = TextTable(
            ["HOLD", "NAME", "WHAT", "STUDIES", "WHEN", "BY", "WHY", "RELEASED"],
            rightAligned: [0, 3]
        )
        for hold in holds {
            let what =
                hold.patientID.map { "patient \($0)" } ?? hold.query.map { "query \($0)" } ?? hold.study ?? "studies"
            table.add([
                String(hold.number), hold.name, what, String(hold.studies), hold.placedAt, hold.placedBy, hold.reason,
                hold.releasedAt ?? "-",
            ])
        }
        output(table.text)
    }
}

/// `varve study tag`.
struct StudyTagCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag",
        abstract: "Mark a study with tags, which rules can ask for; without any, list them.",
        discussion: "Example: varve study tag 1.2.840.113619.2.5 teaching --remove research"
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String
    @Argument(help: "Tags to add.") var tags: [String] = []
    @Option(help: "A tag to take away.") var remove: [String] = []

    func validate() throws {
        try requireUID(study)
    }

    func run() async throws {
        let body = try await AdminClient(server).send(
            "POST",
            "/api/v1/studies/\(study)/tags",
            body: JSONEncoder().encode(TagRequest(add: tags, remove: remove))
        )
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let tags = try JSONDecoder().decode([String: [String]].self, from: body)["tags"] ?? []
        output(tags.isEmpty ? "no tags" : tags.joined(separator: ", "))
    }
}
