// SPDX-License-Identifier: Apache-2.0

/// What went wrong on a connection, before it is known what that means for the caller.
struct PostgresFailure: Error {
    enum Kind: Sendable {
        /// No connection could be made; nothing was sent.
        case cannotConnect
        /// The connection broke. `sent`: after the statement, or a part of it, had gone out.
        case broken(sent: Bool)
        /// The deadline passed while the answer was awaited; the connection is closed.
        case deadline
        /// The server refused the statement and rolled it back; the connection can be used on.
        case refused(SQLState)
        /// The server announced its end while the statement ran; the connection is closed.
        case serverGone(SQLState)
        /// The answer is not what the statement should give: a bug or another program's schema.
        case unexpected
    }

    let kind: Kind
    let message: String

    var sqlState: SQLState? {
        switch kind {
        case .refused(let state), .serverGone(let state): state
        case .cannotConnect, .broken, .deadline, .unexpected: nil
        }
    }

    /// Whether the connection is of no more use.
    var endsConnection: Bool {
        switch kind {
        case .refused: false
        case .cannotConnect, .broken, .deadline, .serverGone, .unexpected: true
        }
    }

    /// Whether the statement may have taken effect although no success was reported.
    var leavesOutcomeUnknown: Bool {
        switch kind {
        case .broken(let sent): sent
        case .deadline: true
        case .serverGone(let state): !state.isRefusalOfService
        case .cannotConnect, .refused, .unexpected: false
        }
    }

    /// The failure of a question, or of a change whose outcome is known.
    func error(changing: Bool) -> CatalogError {
        let state = sqlState?.code
        switch kind {
        case .cannotConnect:
            return CatalogError(.unavailable, message)
        case .broken, .serverGone, .deadline:
            if changing, leavesOutcomeUnknown {
                return CatalogError(.outcomeUnknown, "\(message); ask again to learn the outcome", sqlState: state)
            }
            if case .deadline = kind { return CatalogError(.timedOut, message, sqlState: state) }
            return CatalogError(.unavailable, message, sqlState: state)
        case .unexpected:
            return CatalogError(.failed, message)
        case .refused(let sqlState):
            let (code, advice) = meaning(of: sqlState)
            return CatalogError(code, advice.map { "\(message): \($0)" } ?? message, sqlState: state)
        }
    }

    private func meaning(of state: SQLState) -> (code: CatalogError.Code, advice: String?) {
        if state == .unknownNode { return (.unknownNode, "a node is named that is not registered; register it first") }
        if state == .staleTerm { return (.staleTerm, "the term of office is over; another coordinator leads") }
        if state == .conflict { return (.conflict, "another placement map is in force; read it again") }
        if state.isMissingSchema { return (.schema, "the schema is missing or too old; run the catalog's migrations") }
        if state.isConfiguration { return (.configuration, "check the role, its password and its permissions") }
        if state.isInvalidData { return (.invalid, "a value cannot be stored") }
        if state.isUnavailable { return (.unavailable, nil) }
        if state.code == "57014" { return (.timedOut, "the statement timeout passed") }
        return (.failed, nil)
    }
}
