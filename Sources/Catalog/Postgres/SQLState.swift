// SPDX-License-Identifier: Apache-2.0

/// Postgres' five-character error codes, as far as they decide what happens next (appendix A of its manual).
struct SQLState: Hashable, Sendable {
    let code: String

    /// The server is going away, coming up, or cannot take another connection: try again on a new connection.
    ///
    /// Class 08 is a broken connection, 57P01...57P05 shutdowns, crashes and start-up, 53300 too many connections, 25006
    /// a standby that was taken for the primary, which a failover leaves behind.
    var isUnavailable: Bool {
        code.hasPrefix("08") || code.hasPrefix("57P0") || code == "53300" || code == "25006"
    }

    /// Of those: nothing was begun.
    var isRefusalOfService: Bool { code == "53300" || code == "25006" || code == "57P03" }

    /// The statement was rolled back for the sake of others or of a limit, and may succeed when repeated: serialisation
    /// failure, deadlock, lock timeout, statement timeout.
    var isTransient: Bool {
        ["40001", "40P01", "55P03", "57014"].contains(code)
    }

    /// A table, type, function or column that is not there.
    var isMissingSchema: Bool {
        ["42P01", "42883", "42704", "42703", "3F000"].contains(code)
    }

    /// Wrong password, no such database or role, not permitted.
    var isConfiguration: Bool {
        code.hasPrefix("28") || code == "3D000" || code == "42501"
    }

    /// The values given cannot be stored: class 22 (data), 23 (constraints), and 54000 (too long for an index).
    var isInvalidData: Bool {
        code.hasPrefix("22") || code.hasPrefix("23") || code == "54000"
    }

    /// What our own SQL functions raise for a node that is not registered.
    static let unknownNode = SQLState(code: "VA001")
    /// What they raise for a term of office that is over.
    static let staleTerm = SQLState(code: "VA002")
    /// What they raise for a compare-and-set that found another value.
    static let conflict = SQLState(code: "VA003")
}
