// SPDX-License-Identifier: Apache-2.0

package import Placement
package import ReplicationProtocol

/// A storage node that takes amendments of records: a connection, or a stand-in in tests.
package protocol AmendmentPeer: Sendable {
    var id: NodeID { get }
    var name: String { get }
    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp) async throws(ReplicationError)
}

/// Records of which a node is told at once.
private let amendmentWindow = 32

extension AmendmentPeer {
    /// Tells the node of all these, some at once; the first refusal, after which no more are begun.
    func amend(_ amendments: [RecordAmendment], _ stamp: OrderStamp) async -> ReplicationError? {
        await withTaskGroup(of: ReplicationError?.self) { tasks in
            var next = amendments.startIndex
            var failure: ReplicationError?
            func start() {
                guard failure == nil, next < amendments.endIndex else { return }
                let amendment = amendments[next]
                next += 1
                tasks.addTask { await self.refusal(of: amendment, stamp) }
            }
            for _ in 0..<amendmentWindow { start() }
            while let result = await tasks.next() {
                failure = failure ?? result
                start()
            }
            return failure
        }
    }

    private func refusal(of amendment: RecordAmendment, _ stamp: OrderStamp) async -> ReplicationError? {
        do throws(ReplicationError) {
            try await amend(amendment, stamp)
            return nil
        } catch {
            return error
        }
    }
}
