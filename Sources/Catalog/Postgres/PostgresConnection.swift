// SPDX-License-Identifier: Apache-2.0

import CPostgres
import Glibc
import NIOCore

/// One connection to Postgres, used by one thread at a time: with `PostgresResult`, all of the program that sees libpq.
///
/// libpq's non-blocking calls and `poll` are used throughout, so that every operation ends at its deadline whatever the
/// server does: `statement_timeout` does not cover a COMMIT that waits for a lost standby. An operation that fails other
/// than by the server's refusal closes the connection.
final class PostgresConnection {
    private let handle: OpaquePointer
    private var preparedNames: Set<String> = []
    /// Names by text, of composed statements that are prepared; `composedTexts` has the oldest first.
    private var composedNames: [String: String] = [:]
    private var composedTexts: [String] = []
    private var composedCount = 0
    /// False once an operation has broken off; then the connection is of no more use.
    private(set) var isUsable = true

    private init(handle: OpaquePointer) {
        self.handle = handle
    }

    deinit {
        PQfinish(handle)
    }

    /// Connects to one host, by the keywords of `target`.
    static func open(_ target: ConnectionTarget, deadline: NIODeadline) throws(PostgresFailure) -> PostgresConnection {
        let started = withCStrings(target.keywords.map(\.name)) { names in
            withCStrings(target.keywords.map(\.value)) { values in PQconnectStartParams(names, values, 0) }
        }
        guard let handle = started else {
            throw PostgresFailure(kind: .cannotConnect, message: "out of memory for a connection")
        }
        let connection = PostgresConnection(handle: handle)
        PQsetNoticeReceiver(handle, { _, _ in }, nil)
        try connection.finishConnecting(deadline: deadline)
        PQsetnonblocking(handle, 1)
        return connection
    }

    private func finishConnecting(deadline: NIODeadline) throws(PostgresFailure) {
        guard PQstatus(handle) != CONNECTION_BAD else { throw connectFailure() }
        // "Loop thus: if PQconnectPoll(conn) last returned PGRES_POLLING_READING, wait until the socket is ready to
        // read ...; initially as if it had returned PGRES_POLLING_WRITING" (libpq, 34.1).
        var events = Int16(POLLOUT)
        while true {
            guard socketIsReady(events: events, until: deadline) else {
                isUsable = false
                throw PostgresFailure(kind: .cannotConnect, message: "Postgres did not take the connection in time")
            }
            switch PQconnectPoll(handle) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: events = Int16(POLLIN)
            case PGRES_POLLING_WRITING: events = Int16(POLLOUT)
            default: throw connectFailure()
            }
        }
    }

    /// libpq's words for a failed attempt name host, role and database, never the password or data.
    private func connectFailure() -> PostgresFailure {
        isUsable = false
        let words = String(cString: PQerrorMessage(handle)).split(whereSeparator: \.isNewline).joined(separator: "; ")
        return PostgresFailure(kind: .cannotConnect, message: words)
    }

    /// Whether the connection, idle since its last use, still stands: notices a server that has gone away meanwhile.
    func isStillOpen() -> Bool {
        guard isUsable else { return false }
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, 0) > 0 else { return true }
        // Readable while idle: a notice, or the end.
        if PQconsumeInput(handle) == 0 || PQstatus(handle) == CONNECTION_BAD || descriptor.revents & Int16(POLLHUP) != 0
        {
            isUsable = false
        }
        return isUsable
    }

    /// Runs one or more statements without parameters; for several, in one transaction unless they say otherwise.
    func run(script: String, deadline: NIODeadline) throws(PostgresFailure) {
        guard PQsendQuery(handle, script) == 1 else { throw broken(sent: false) }
        _ = try answer(deadline: deadline)
    }

    /// Runs a statement that is planned for these values.
    func query(
        _ sql: String,
        _ values: [PostgresValue] = [],
        deadline: NIODeadline
    ) throws(PostgresFailure) -> PostgresResult {
        let status = withParameters(values) { types, pointers, lengths, formats in
            PQsendQueryParams(handle, sql, Int32(values.count), types, pointers, lengths, formats, 1)
        }
        guard status == 1 else { throw broken(sent: false) }
        return try answer(deadline: deadline)
    }

    /// Runs a statement that is prepared at its first use on this connection.
    func query(
        _ statement: PreparedStatement,
        _ values: [PostgresValue],
        deadline: NIODeadline
    ) throws(PostgresFailure) -> PostgresResult {
        try prepare(statement, deadline: deadline)
        let status = withParameters(values) { _, pointers, lengths, formats in
            PQsendQueryPrepared(handle, statement.name, Int32(values.count), pointers, lengths, formats, 1)
        }
        guard status == 1 else { throw broken(sent: false) }
        return try answer(deadline: deadline)
    }

    /// The most composed statements that are kept prepared: what a client asks for, limits among it, is in their texts.
    private static let maximumComposedCount = 64

    /// Runs a composed statement that is prepared when its text first comes on this connection.
    ///
    /// Postgres plans it for its values a few times, and then keeps a plan that does not look at them: only for
    /// statements to which any value is as good as another.
    func query(
        keeping sql: String,
        _ values: [PostgresValue],
        deadline: NIODeadline
    ) throws(PostgresFailure) -> PostgresResult {
        let name: String
        if let known = composedNames[sql] {
            name = known
        } else {
            name = try prepare(composed: sql, values, deadline: deadline)
        }
        let status = withParameters(values) { _, pointers, lengths, formats in
            PQsendQueryPrepared(handle, name, Int32(values.count), pointers, lengths, formats, 1)
        }
        guard status == 1 else { throw broken(sent: false) }
        return try answer(deadline: deadline)
    }

    /// Prepares a composed statement, in place of the oldest when there are as many as there may be; its name.
    private func prepare(
        composed sql: String,
        _ values: [PostgresValue],
        deadline: NIODeadline
    ) throws(PostgresFailure) -> String {
        if composedTexts.count >= Self.maximumComposedCount,
            let oldest = composedNames.removeValue(forKey: composedTexts.removeFirst())
        {
            try run(script: "DEALLOCATE \(oldest)", deadline: deadline)
        }
        composedCount += 1
        let name = "composed_\(composedCount)"
        let status = withParameters(values) { types, _, _, _ in
            PQsendPrepare(handle, name, sql, Int32(values.count), types)
        }
        guard status == 1 else { throw broken(sent: false) }
        try finishPreparing(deadline: deadline)
        composedNames[sql] = name
        composedTexts.append(sql)
        return name
    }

    /// Prepares a statement now, so that its first use needs no round trip of its own.
    func prepare(_ statement: PreparedStatement, deadline: NIODeadline) throws(PostgresFailure) {
        guard !preparedNames.contains(statement.name) else { return }
        guard PQsendPrepare(handle, statement.name, statement.sql, 0, nil) == 1 else { throw broken(sent: false) }
        try finishPreparing(deadline: deadline)
        preparedNames.insert(statement.name)
    }

    private func finishPreparing(deadline: NIODeadline) throws(PostgresFailure) {
        do {
            _ = try answer(deadline: deadline)
        } catch {
            // Preparing changes nothing: whatever broke it, the statement itself has not been sent.
            if case .refused = error.kind { throw error }
            throw PostgresFailure(kind: .broken(sent: false), message: error.message)
        }
    }

    // MARK: waiting

    /// Sends what is queued and reads to the end of the answer.
    private func answer(deadline: NIODeadline) throws(PostgresFailure) -> PostgresResult {
        try flush(deadline: deadline)
        var last: PostgresResult?
        var failure: PostgresFailure?
        while true {
            while PQisBusy(handle) == 1 {
                guard socketIsReady(events: Int16(POLLIN), until: deadline) else { throw passedDeadline() }
                guard PQconsumeInput(handle) == 1 else { throw failure ?? broken(sent: true) }
            }
            guard let pointer = PQgetResult(handle) else { break }
            let result = PostgresResult(pointer)
            if let found = result.failure {
                failure = failure ?? found
                // After the server's last words libpq reports the broken connection for ever: stop listening.
                if found.endsConnection { break }
            } else {
                last = result
            }
        }
        if let failure {
            if failure.endsConnection || PQstatus(handle) == CONNECTION_BAD { isUsable = false }
            throw failure
        }
        guard let last else { throw broken(sent: true) }
        return last
    }

    private func flush(deadline: NIODeadline) throws(PostgresFailure) {
        while true {
            switch PQflush(handle) {
            case 0: return
            case 1:
                // While the send buffer is full the server may be waiting for us to read.
                guard socketIsReady(events: Int16(POLLIN | POLLOUT), until: deadline) else { throw passedDeadline() }
                guard PQconsumeInput(handle) == 1 else { throw broken(sent: true) }
            default: throw broken(sent: true)
            }
        }
    }

    /// Waits for the socket; false at the deadline.
    private func socketIsReady(events: Int16, until deadline: NIODeadline) -> Bool {
        while true {
            var descriptor = pollfd(fd: PQsocket(handle), events: events, revents: 0)
            let remaining = (deadline - .now()).nanoseconds
            let milliseconds = remaining <= 0 ? 0 : min(remaining / 1_000_000 + 1, 3_600_000)
            let status = poll(&descriptor, 1, Int32(milliseconds))
            if status > 0 { return true }
            // Any error but an interruption shows itself when the socket is next read.
            if status < 0, errno != EINTR { return true }
            if deadline <= .now() { return false }
        }
    }

    private func broken(sent: Bool) -> PostgresFailure {
        isUsable = false
        return PostgresFailure(kind: .broken(sent: sent), message: "the connection to Postgres broke")
    }

    private func passedDeadline() -> PostgresFailure {
        isUsable = false
        return PostgresFailure(kind: .deadline, message: "Postgres did not answer in time")
    }

    // MARK: parameters

    private func withParameters(
        _ values: [PostgresValue],
        _ body: (UnsafePointer<Oid>, UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<Int32>, UnsafePointer<Int32>)
            -> Int32
    ) -> Int32 {
        // One buffer for all values; a pointer into it for each that is not NULL. The extra byte keeps the address of
        // an empty last value inside.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.reduce(1) { $0 + ($1.bytes?.count ?? 0) })
        for value in values { bytes.append(contentsOf: value.bytes ?? []) }
        bytes.append(0)
        let lengths = values.map { Int32(truncatingIfNeeded: $0.bytes?.count ?? 0) } + [0]
        let formats = [Int32](repeating: 1, count: values.count + 1)
        let types = values.map(\.type) + [0]
        return bytes.withUnsafeBytes { raw in
            let base = raw.assumingMemoryBound(to: CChar.self).baseAddress
            var offset = 0
            var pointers: [UnsafePointer<CChar>?] = []
            for value in values {
                pointers.append(value.bytes == nil ? nil : base.map { $0 + offset })
                offset += value.bytes?.count ?? 0
            }
            pointers.append(nil)
            return body(types, pointers, lengths, formats)
        }
    }

    /// A NULL-terminated array of C strings, as `PQconnectStartParams` takes it.
    private static func withCStrings<Result>(
        _ strings: [String],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies.map { UnsafePointer($0) } + [nil])
    }
}

/// A statement that connections prepare once.
///
/// The name stands for the text: never two texts of one name.
struct PreparedStatement: Sendable {
    let name: String
    let sql: String

    init(_ name: String, _ sql: String) {
        self.name = name
        self.sql = sql
    }
}
