// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import ReplicationProtocol

extension ReplicationClient {
    /// Makes an idempotent request, and again at the same peer when the error says so: its outcome is not known, or its
    /// bytes were damaged on the way.
    ///
    /// A put that was durable is then acknowledged as stored already. Waits for a new connection for `patience` each
    /// time; when there is none by then, or after `limit` repetitions, the last error is thrown.
    public func repeating<Value: Sendable>(
        atMost limit: Int = 2,
        patience: TimeAmount = .seconds(2),
        _ request: () async throws(ReplicationError) -> Value
    ) async throws(ReplicationError) -> Value {
        var repetitions = 0
        while true {
            do throws(ReplicationError) {
                return try await request()
            } catch {
                guard error.retry == .sameNode, repetitions < limit, !Task.isCancelled else { throw error }
                guard await isConnected(within: patience) else { throw error }
                repetitions += 1
            }
        }
    }

    /// Whether there is a connection now or soon.
    private func isConnected(within patience: TimeAmount) async -> Bool {
        await withTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                do throws(ReplicationError) {
                    try await self.waitUntilConnected()
                    return true
                } catch {
                    return false
                }
            }
            tasks.addTask {
                // Cancelled once there is a connection; the answer is then not asked for.
                try? await Task.sleep(for: .nanoseconds(patience.nanoseconds))
                return false
            }
            defer { tasks.cancelAll() }
            return await tasks.next() ?? false
        }
    }
}
