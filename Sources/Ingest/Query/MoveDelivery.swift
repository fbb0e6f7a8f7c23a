// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import DIMSE
import Logging

/// One C-MOVE on its way: sends instances to a destination over several associations at once.
///
/// Lives as long as the request.
struct MoveDelivery: Sendable {
    /// What became of an association.
    private enum Outcome: Sendable {
        /// It is there, and can be served.
        case connected(DICOMAssociation)
        case notConnected(DICOMNetworkError)
        /// It has sent what there was for it; with an error, the destination broke off its first instance.
        case served(DICOMNetworkError?)
    }

    /// An association is worth its negotiation for so many instances.
    static let instancesPerAssociation = 4
    /// After a C-CANCEL: what a destination has to answer the instance under way, before it is broken off.
    static let cancellationGrace = Duration.milliseconds(500)

    let client: DICOMClient
    let suboperations: Suboperations
    let exchange: RequestExchange
    /// The most associations at once.
    let associationCount: Int
    let logger: Logger
    private let associations = MoveAssociations()

    init(
        client: DICOMClient,
        suboperations: Suboperations,
        exchange: RequestExchange,
        associationCount: Int,
        logger: Logger
    ) {
        self.client = client
        self.suboperations = suboperations
        self.exchange = exchange
        self.associationCount = associationCount
        self.logger = logger
    }

    /// Sends all instances; returns whether the requestor cancelled.
    ///
    /// A cancellation does not wait for the destination: associations that do not come to an end soon are aborted.
    func send(_ instances: [StoredInstance]) async -> Bool {
        await withTaskGroup(of: Bool?.self) { tasks in
            tasks.addTask { await self.sendBatches(of: instances) }
            tasks.addTask { await self.watch() }
            while let isCancelled = await tasks.next() {
                if let isCancelled {
                    tasks.cancelAll()
                    return isCancelled
                }
                // The watch has ended: because it saw a cancellation, or because the server stops.
                await associations.abort()
                tasks.cancelAll()
            }
            return true
        }
    }

    /// Waits until the requestor cancels, and then for the time that the associations have left.
    private func watch() async -> Bool? {
        await exchange.cancellation()
        // Losing the error is right: a cancelled task need not wait.
        try? await Task.sleep(for: Self.cancellationGrace)
        return nil
    }

    /// Sends what one set of presentation contexts can carry, then the next.
    private func sendBatches(of instances: [StoredInstance]) async -> Bool? {
        var rest = instances[...]
        while !rest.isEmpty {
            let batch = MoveBatch(of: rest)
            rest = rest.dropFirst(batch.instances.count)
            let count = min(associationCount, max(1, batch.instances.count / Self.instancesPerAssociation))
            let queue = MoveQueue(batch.instances, associationCount: count)
            let refusal = await send(queue, batch.contexts, over: count)
            if suboperations.isCancelled { return true }
            if let refusal {
                report(refusal)
                suboperations.fail(queue.takeAll() + rest)
                return false
            }
        }
        return false
    }

    /// Sends all of a queue; returns why the destination takes no more, where something is left.
    private func send(
        _ queue: MoveQueue,
        _ contexts: [ProposedContext],
        over count: Int
    ) async -> DICOMNetworkError? {
        // The first alone: a destination that is not there is asked once.
        let first: DICOMAssociation
        switch await connect(contexts) {
        case .connected(let association): first = association
        case .notConnected(let error): return error
        case .served: return nil
        }
        return await withTaskGroup(of: Outcome.self) { tasks in
            var refusal: DICOMNetworkError?
            var servingCount = 1
            tasks.addTask { await self.serve(first, from: queue, contexts) }
            for _ in 1..<max(count, 1) { tasks.addTask { await self.connect(contexts) } }
            while let outcome = await tasks.next() {
                switch outcome {
                case .connected(let association):
                    servingCount += 1
                    tasks.addTask { await self.serve(association, from: queue, contexts) }
                case .notConnected(let error):
                    // Whoever takes fewer associations than we would open gets all over those.
                    logger.debug("a move destination takes no further association", metadata: ["reason": "\(error)"])
                    refusal = refusal ?? error
                case .served(let error):
                    servingCount -= 1
                    refusal = error ?? refusal
                }
                // Nothing is left for those that the destination has not answered yet.
                if servingCount == 0, queue.isEmpty || suboperations.isCancelled { tasks.cancelAll() }
            }
            return queue.isEmpty ? nil : refusal
        }
    }

    private func connect(_ contexts: [ProposedContext]) async -> Outcome {
        do throws(DICOMNetworkError) {
            let association = try await client.connect(contexts: contexts)
            await associations.add(association)
            return .connected(association)
        } catch {
            return .notConnected(error)
        }
    }

    /// Sends what the queue has, over this association and, where it breaks, over others after it.
    ///
    /// A destination that does not even take the first instance of an association is taken to be gone.
    private func serve(
        _ first: DICOMAssociation,
        from queue: MoveQueue,
        _ contexts: [ProposedContext]
    ) async -> Outcome {
        var association = first
        while true {
            var sentCount = 0
            var failure: DICOMNetworkError?
            while failure == nil {
                let instances = queue.take()
                guard !instances.isEmpty else { break }
                let (doneCount, interruption) = await suboperations.deliver(instances, to: association)
                sentCount += doneCount
                queue.giveBack(instances.dropFirst(doneCount))
                switch interruption {
                case nil: continue
                case .cancelled:
                    await end(association)
                    return .served(nil)
                case .associationFailed(let error): failure = error
                }
            }
            guard let failure else {
                await end(association)
                return .served(nil)
            }
            report(failure)
            associations.remove(association)
            await association.abort()
            // A data set that could not be read is no fault of the destination's.
            if sentCount <= 1, !(failure.cause is RetrieveFailure) { return .served(failure) }
            if queue.isEmpty { return .served(nil) }
            switch await connect(contexts) {
            case .connected(let next): association = next
            case .notConnected(let error): return .served(error)
            case .served: return .served(nil)
            }
        }
    }

    /// Releases an association over which everything is answered.
    private func end(_ association: DICOMAssociation) async {
        // Losing the error is right: everything is answered, and the peer may close as it likes.
        try? await association.release()
        associations.remove(association)
    }

    private func report(_ error: DICOMNetworkError) {
        logger.warning(
            "a move destination cannot be reached or broke off",
            metadata: ["destination": "\(client.configuration.calledAETitle)", "reason": "\(error)"]
        )
    }
}
