// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore

/// `varve find`: asks a DICOM application entity what it has (C-FIND).
struct FindCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Ask a DICOM application entity for patients, studies, series or instances (C-FIND).",
        discussion: """
            Example: varve find PatientName='DOE*' StudyDate=20240101- StudyDescription
            KEY=VALUE matches, KEY alone is shown. A key is a keyword of the standard or eight hexadecimal digits.
            """
    )

    @OptionGroup var dicom: DICOMOptions
    @OptionGroup var query: QueryOptions
    @Option(help: "How many matches at most; then the query is cancelled.") var limit = 1_000
    @Flag(help: "Print a JSON array of data sets (PS3.18 annex F).") var json = false
    @Argument(help: "KEY=VALUE to match, KEY to show.") var keys: [String] = []

    func validate() throws {
        guard (1...100_000).contains(limit) else { throw ValidationError("--limit must be from 1 to 100000") }
        _ = try query.identifier(keys)
    }

    func run() async throws {
        let shown = keys.isEmpty ? query.defaultKeys : keys
        let identifier = try query.identifier(shown)
        let (association, syntax) = try await query.connect(.find, dicom)
        let found = NIOLockedValueBox<[ByteBuffer]>([])
        let last = try await association.query(
            query.sopClass(.find),
            identifier: try DataSetWriter.write(identifier, transferSyntax: syntax)
        ) { [limit] response in
            found.withLockedValue { found in
                if let match = response.identifier, found.count < limit { found.append(match) }
                return found.count < limit
            }
        }
        try await association.release()
        guard last.status.isSuccess || last.status == .cancel else { throw CommandError(last.failure("find")) }
        let matches = try found.withLockedValue { $0 }.map { bytes in
            try DataSetReader.read(bytes, transferSyntax: syntax).dataSet
        }
        if json {
            output(Self.json(matches))
        } else {
            output(try Self.table(matches, of: shown.map { try QueryOptions.key($0) }))
        }
    }

    private static func json(_ matches: [DataSet]) -> String {
        var buffer = ByteBuffer(string: "[")
        for (index, match) in matches.enumerated() {
            if index > 0 { buffer.writeString(",\n") }
            DICOMJSON.write(match, into: &buffer)
        }
        buffer.writeString("]")
        return String(buffer: buffer)
    }

    private static func table(_ matches: [DataSet], of keys: [QueryOptions.Key]) throws -> String {
        guard !matches.isEmpty else { return "nothing found" }
        var table = TextTable(keys.map(\.name))
        for match in matches {
            // From a peer: nothing of it is to steer the terminal.
            table.add(keys.map { TerminalText.escaped(match.strings($0.tag).joined(separator: "\\")) })
        }
        return table.text
    }
}
