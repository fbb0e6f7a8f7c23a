// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The server programs of one PostgreSQL installation.
public struct PostgresPrograms: Sendable, Hashable {
    /// What a private server needs beyond the server itself.
    private static let needed = ["postgres", "initdb", "pg_isready", "psql"]
    /// Older servers lack what the catalog's statements use.
    static let oldestVersion = 13

    /// The directory of the programs.
    public let directory: String
    /// The major version.
    public let version: Int

    func path(_ program: String) -> String { "\(directory)/\(program)" }

    /// Finds the newest installation, or the one of a certain version.
    ///
    /// Debian and its kin keep versions side by side in `/usr/lib/postgresql/VERSION/bin`, outside PATH; others are
    /// found through PATH and the common places of other distributions.
    ///
    /// - Parameter version: the major version that an existing data directory was made by.
    /// - Returns: programs that can run a private server.
    /// - Throws: `.postgresMissing`, with what to install.
    public static func find(version: Int? = nil) throws(SupervisorError) -> PostgresPrograms {
        let found = installed()
        guard let newest = found.first else {
            throw SupervisorError(
                .postgresMissing,
                "no PostgreSQL server is installed: install one (Debian: apt-get install postgresql), "
                    + "or use an existing server with --postgres URL"
            )
        }
        guard let version else {
            guard newest.version >= oldestVersion else {
                throw SupervisorError(
                    .postgresMissing,
                    "PostgreSQL \(newest.version) is too old: install \(oldestVersion) or newer"
                )
            }
            return newest
        }
        guard let match = found.first(where: { $0.version == version }) else {
            throw SupervisorError(
                .postgresMissing,
                "the database was made by PostgreSQL \(version), and only \(found.map(\.version)) is installed: install "
                    + "version \(version) (Debian: apt-get install postgresql-\(version)), or move the data with pg_upgrade"
            )
        }
        return match
    }

    /// All installations, newest first.
    static func installed() -> [PostgresPrograms] {
        let versioned = "/usr/lib/postgresql"
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: versioned)) ?? []  // not Debian
        var directories = folders.map { "\(versioned)/\($0)/bin" }
        let search = ProcessInfo.processInfo.environment["PATH"] ?? ""
        directories += search.split(separator: ":").map(String.init)
        directories += ["/usr/local/pgsql/bin", "/usr/pgsql/bin", "/usr/libexec/postgresql"]
        var seen: Set<String> = []
        var found: [PostgresPrograms] = []
        for directory in directories where seen.insert(directory).inserted {
            guard needed.allSatisfy({ FileManager.default.isExecutableFile(atPath: "\(directory)/\($0)") }),
                let version = version(of: "\(directory)/postgres")
            else { continue }
            found.append(PostgresPrograms(directory: directory, version: version))
        }
        return found.sorted { ($0.version, $1.directory) > ($1.version, $0.directory) }
    }

    /// Asks the program itself: "postgres (PostgreSQL) 15.20 (Debian ...)".
    private static func version(of program: String) -> Int? {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = ["--version"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }  // no program, no version
        let data = (try? output.fileHandleForReading.readToEnd()) ?? Data()  // no answer, no version
        process.waitUntilExit()
        let words = String(decoding: data, as: UTF8.self).split(separator: " ")
        return words.first { $0.first?.isNumber == true }.flatMap { Int($0.prefix { $0.isNumber }) }
    }
}
