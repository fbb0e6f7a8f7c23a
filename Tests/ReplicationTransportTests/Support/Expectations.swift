// SPDX-License-Identifier: Apache-2.0

import ReplicationProtocol

/// The error that `body` throws; `nil` when it throws none.
func failure<Value>(of body: () async throws(ReplicationError) -> Value) async -> ReplicationError? {
    do throws(ReplicationError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}
