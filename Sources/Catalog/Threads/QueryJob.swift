// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A question or a change that waits for a connection of the pool.
struct QueryJob: Sendable {
    let deadline: NIODeadline
    /// Runs on a pool thread and answers the caller.
    let run: @Sendable (CatalogSession) -> Void
    /// Answers the caller without having run.
    let fail: @Sendable (CatalogError) -> Void
}

/// Whether repeating a statement of unknown outcome is harmless.
enum QueryKind: Sendable {
    /// Changes nothing, or comes to the same when done twice: tried again on a new connection when the old one breaks.
    case repeatable
    /// Not repeated once it may have taken effect: the caller must look.
    case once
}

extension CatalogSession {
    private static let maximumAttemptCount = 5

    /// Runs `body` on a connection until it succeeds, its failure is final, or the deadline is past.
    func perform<Value>(
        _ kind: QueryKind,
        deadline: NIODeadline,
        _ body: (PostgresConnection, NIODeadline) throws(PostgresFailure) -> Value
    ) throws(CatalogError) -> Value {
        var attemptCount = 0
        while true {
            attemptCount += 1
            do {
                let connection = try connected(deadline: deadline)
                return try body(connection, deadline)
            } catch {
                if error.endsConnection { disconnect() }
                let isHarmless: Bool
                switch error.kind {
                case .broken, .serverGone: isHarmless = kind == .repeatable || !error.leavesOutcomeUnknown
                case .refused(let state): isHarmless = state.isTransient && state.code != "57014"
                case .cannotConnect, .deadline, .unexpected: isHarmless = false
                }
                guard isHarmless, attemptCount < Self.maximumAttemptCount, .now() < deadline else {
                    throw error.error(changing: kind == .once)
                }
            }
        }
    }
}
