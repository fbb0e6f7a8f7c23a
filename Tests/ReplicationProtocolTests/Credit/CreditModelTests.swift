// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol
import Testing

/// Many puts over many connections with little memory, in random order: none is stuck, and no limit is passed.
struct CreditModelTests {
    @Test(arguments: 0..<30)
    func everyPutEndsAndNoLimitIsPassed(round: Int) {
        let seed = Seed.value &+ UInt64(round)
        var model = PutModel(seed: seed)
        let problem = model.run()
        #expect(problem == nil, "VARVE_SEED=\(seed)")
    }

    /// A put that had its memory at once waited for credit that puts of lesser priority held, and they for its memory.
    @Test func aPutThatPassesOthersIsNotStuckBehindThem() {
        var model = PutModel(seed: 15_427_830_312_288_888_734)
        let problem = model.run()
        #expect(problem == nil)
    }
}

/// Client and server state machines joined by two queues a connection, driven by a random schedule.
private struct PutModel {
    private static let limits = PutReceiver.Limits(
        maximumPayloadByteCount: 10_000,
        maximumWholePayloadByteCount: 2000,
        windowByteCount: 400,
        streamCredit: 100
    )
    private static let connectionCredit = 250
    private static let budgetCapacity = 2600

    private enum ToServer {
        case begin(Int)
        case bytes(Int, PutReceiver.Part, byteCount: Int, MessageFlags)
        case commit(Int)
        case cancel(Int)
    }

    private enum ToClient {
        case credit(Int, UInt64)
        case connectionCredit(Int)
        case ack(Int)
        case error(Int, ReplicationError)
    }

    private struct Connection {
        var toServer: [ToServer] = []
        var toClient: [ToClient] = []
        var clientCredit = ConnectionCredit(limit: UInt32(PutModel.connectionCredit))
        var serverCredit = UnsolicitedCredit(limit: PutModel.connectionCredit)
        var unsolicitedHeld = 0
    }

    private struct Put {
        let connection: Int
        let begin: PutBegin
        var sender: PutSender
        var receiver: PutReceiver?
        var toProduce: Int
        var available = 0
        var isClientDone = false
        var isServerDone = false
        var wantsCancel: Bool
        let priority: RequestPriority
        // The server's shell.
        var lent = 0
        var ticket: MemoryBudget.Ticket?
        var heldByteCount = 0
        var isExecuting = false
        var isStreaming = false
    }

    private var random: SplitMix
    private var budget = MemoryBudget(capacity: PutModel.budgetCapacity)
    private var connections: [Connection]
    private var puts: [Put] = []
    private var problem: String?

    init(seed: UInt64) {
        random = SplitMix(seed: seed)
        connections = (0..<Int.random(in: 1...3, using: &random)).map { _ in Connection() }
        for _ in 0..<Int.random(in: 1...30, using: &random) {
            let payload = [0, 10, 90, 100, 300, 1999, 2000, 2001, 5000].randomElement(using: &random) ?? 0
            let metadata = [0, 8, 150].randomElement(using: &random) ?? 0
            let begin = PutBegin(
                request: Samples.put(
                    payloadByteCount: UInt64(payload),
                    metadata: ByteBuffer(repeating: 0, count: min(metadata, 20))
                ),
                metadataByteCount: metadata,
                timeoutMilliseconds: 0
            )
            puts.append(
                Put(
                    connection: Int.random(in: 0..<connections.count, using: &random),
                    begin: begin,
                    sender: PutSender(begin, streamCredit: UInt32(Self.limits.streamCredit)),
                    toProduce: payload,
                    wantsCancel: Int.random(in: 0..<6, using: &random) == 0,
                    priority: RequestPriority.allCases.randomElement(using: &random) ?? .foreground
                )
            )
        }
    }

    /// Runs until nothing more can happen; returns what went wrong.
    mutating func run() -> String? {
        for index in puts.indices { connections[puts[index].connection].toServer.append(.begin(index)) }
        var idleRounds = 0
        while idleRounds < 2, problem == nil {
            var hasMoved = false
            for _ in 0..<(puts.count * 4) where problem == nil {
                let index = Int.random(in: 0..<puts.count, using: &random)
                hasMoved = step(Int.random(in: 0..<6, using: &random), index) || hasMoved
                check()
            }
            if !hasMoved {
                // The random choices may have missed something: try everything once.
                for index in puts.indices { for kind in 0..<6 { hasMoved = step(kind, index) || hasMoved } }
                check()
            }
            idleRounds = hasMoved ? 0 : idleRounds + 1
        }
        if let problem { return problem }
        for (index, put) in puts.enumerated() where !put.isClientDone || !put.isServerDone {
            return "put \(index) of \(put.begin.request.payloadByteCount) bytes is stuck"
        }
        return budget.lentByteCount == 0 ? nil : "\(budget.lentByteCount) bytes of memory are lost"
    }

    private mutating func check() {
        for index in connections.indices where connections[index].unsolicitedHeld > Self.connectionCredit {
            problem = problem ?? "connection \(index) holds \(connections[index].unsolicitedHeld) unsolicited bytes"
        }
        for (index, put) in puts.enumerated() where put.lent > 0 && put.heldByteCount > put.lent {
            problem = problem ?? "put \(index) holds \(put.heldByteCount) bytes, \(put.lent) were lent"
        }
        if budget.lentByteCount > budget.capacity { problem = problem ?? "more memory lent than there is" }
    }

    /// One random move; the claim is whether anything happened.
    private mutating func step(_ kind: Int, _ index: Int) -> Bool {
        let connection = puts[index].connection
        switch kind {
        case 0: return produce(index)
        case 1: return send(index)
        case 2:
            guard !connections[connection].toServer.isEmpty else { return false }
            serverReceives(connections[connection].toServer.removeFirst(), connection)
            returnCredit(connection)
            return true
        case 3:
            guard !connections[connection].toClient.isEmpty else { return false }
            clientReceives(connections[connection].toClient.removeFirst(), connection)
            return true
        case 4: return serve(index)
        default:
            guard puts[index].wantsCancel, !puts[index].isClientDone, Bool.random(using: &random) else { return false }
            puts[index].isClientDone = true
            connections[connection].toServer.append(.cancel(index))
            return true
        }
    }

    private mutating func produce(_ index: Int) -> Bool {
        guard puts[index].toProduce > 0, puts[index].available == 0 else { return false }
        let count = Int.random(in: 1...puts[index].toProduce, using: &random)
        puts[index].toProduce -= count
        puts[index].available += count
        return true
    }

    private mutating func send(_ index: Int) -> Bool {
        let connection = puts[index].connection
        guard !puts[index].isClientDone else { return false }
        let step = puts[index].sender.next(
            availableByteCount: puts[index].available,
            isPayloadComplete: puts[index].available + puts[index].toProduce == 0,
            connectionCredit: &connections[connection].clientCredit
        )
        switch step {
        case .sendMetadata(let byteCount, let flags):
            connections[connection].toServer.append(.bytes(index, .metadata, byteCount: byteCount, flags))
        case .sendData(let byteCount, let flags):
            puts[index].available -= byteCount
            connections[connection].toServer.append(.bytes(index, .data, byteCount: byteCount, flags))
        case .sendCommit:
            connections[connection].toServer.append(.commit(index))
        case .awaitPayload, .awaitCredit, .awaitAnswer:
            return false
        }
        return true
    }

    private mutating func clientReceives(_ message: ToClient, _ connection: Int) {
        do throws(ReplicationError) {
            switch message {
            case .credit(let index, let byteCount): try puts[index].sender.creditReceived(byteCount: byteCount)
            case .connectionCredit(let byteCount):
                try connections[connection].clientCredit.received(byteCount: UInt64(byteCount))
            case .ack(let index):
                if !puts[index].isClientDone, puts[index].sender.ackReceived(.stored) != .finish(.stored) {
                    problem = "an acknowledgement out of place"
                }
                puts[index].isClientDone = true
            case .error(let index, _): puts[index].isClientDone = true
            }
        } catch {
            problem = "the client objects: \(error)"
        }
    }

    private mutating func serverReceives(_ message: ToServer, _ connection: Int) {
        switch message {
        case .begin(let index):
            puts[index].receiver = PutReceiver(puts[index].begin, limits: Self.limits)
            perform(puts[index].receiver?.begin(), index)
        case .bytes(let index, let part, let byteCount, let flags):
            let isUnsolicited = flags.contains(.unsolicited)
            if isUnsolicited {
                connections[connection].unsolicitedHeld += byteCount
                do throws(ReplicationError) {
                    try connections[connection].serverCredit.received(byteCount: byteCount)
                } catch {
                    problem = "the server objects: \(error)"
                }
            }
            if puts[index].isServerDone {
                if isUnsolicited { free(byteCount, connection) }
                return
            }
            puts[index].heldByteCount += byteCount
            perform(
                puts[index].receiver?.received(part, byteCount: byteCount, isUnsolicited: isUnsolicited),
                index
            )
        case .commit(let index):
            let byteCount = puts[index].begin.request.payloadByteCount
            perform(puts[index].receiver?.commitReceived(payloadByteCount: byteCount), index)
        case .cancel(let index):
            perform(puts[index].receiver?.cancelled(), index)
        }
    }

    /// The service takes bytes of a sequence, or finishes.
    private mutating func serve(_ index: Int) -> Bool {
        if puts[index].isStreaming, puts[index].heldByteCount > 0 {
            let count = Int.random(in: 1...puts[index].heldByteCount, using: &random)
            puts[index].heldByteCount -= count
            perform(puts[index].receiver?.consumed(byteCount: count), index)
            return true
        }
        guard puts[index].isExecuting, !puts[index].isServerDone else { return false }
        perform(puts[index].receiver?.serviceSucceeded(.stored), index)
        return true
    }

    private mutating func perform(_ actions: [PutReceiver.Action]?, _ index: Int) {
        let connection = puts[index].connection
        for action in actions ?? [] {
            switch action {
            case .reserveMemory(let byteCount): reserve(byteCount, index)
            case .grantCredit(let byteCount): connections[connection].toClient.append(.credit(index, byteCount))
            case .freeUnsolicited(let byteCount): free(byteCount, connection)
            case .startStreaming:
                puts[index].isStreaming = true
                puts[index].heldByteCount = max(0, puts[index].heldByteCount - puts[index].begin.metadataByteCount)
            case .startWhole, .finishSequence: puts[index].isExecuting = true
            case .sendAck: connections[connection].toClient.append(.ack(index))
            case .sendError(let error): connections[connection].toClient.append(.error(index, error))
            case .end: end(index)
            case .closeConnection(let error): problem = "the server closes the connection: \(error)"
            }
        }
    }

    private mutating func reserve(_ byteCount: Int, _ index: Int) {
        switch budget.reserve(byteCount: byteCount, priority: puts[index].priority) {
        case .granted:
            puts[index].lent = byteCount
            perform(puts[index].receiver?.memoryGranted(afterWaiting: false), index)
            let connection = puts[index].connection
            if puts.contains(where: { $0.connection == connection && $0.ticket != nil }) {
                perform(puts[index].receiver?.othersWait(), index)
            }
        case .waiting(let ticket):
            puts[index].ticket = ticket
            for other in puts.indices where puts[other].connection == puts[index].connection && other != index {
                perform(puts[other].receiver?.othersWait(), other)
            }
        case .refused(let error):
            perform(puts[index].receiver?.memoryRefused(error), index)
        }
    }

    private mutating func end(_ index: Int) {
        puts[index].isServerDone = true
        puts[index].isStreaming = false
        puts[index].heldByteCount = 0
        let lent = puts[index].lent
        puts[index].lent = 0
        if let ticket = puts[index].ticket {
            puts[index].ticket = nil
            serve(budget.withdraw(ticket).granted)
        }
        serve(budget.release(byteCount: lent, priority: puts[index].priority))
    }

    private mutating func serve(_ granted: [MemoryBudget.Ticket]) {
        for ticket in granted {
            guard let index = puts.firstIndex(where: { $0.ticket == ticket }) else {
                problem = "memory for nobody"
                return
            }
            puts[index].ticket = nil
            let begin = puts[index].begin
            let isStreamed = puts[index].receiver?.isStreamed == true
            let payload = isStreamed ? Self.limits.windowByteCount : Int(begin.request.payloadByteCount)
            puts[index].lent = begin.metadataByteCount + payload
            perform(puts[index].receiver?.memoryGranted(afterWaiting: true), index)
        }
    }

    private mutating func free(_ byteCount: Int, _ connection: Int) {
        connections[connection].unsolicitedHeld -= byteCount
        connections[connection].serverCredit.free(byteCount: byteCount)
    }

    private mutating func returnCredit(_ connection: Int) {
        let isAlong = Bool.random(using: &random)
        if let byteCount = connections[connection].serverCredit.takeReturn(alongOthers: isAlong) {
            connections[connection].toClient.append(.connectionCredit(byteCount))
        }
    }
}
