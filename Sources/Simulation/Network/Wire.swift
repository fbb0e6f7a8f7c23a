// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The way between an ingest node and a storage node, which faults may close or slow down in each direction.
final class Link {
    /// Towards the server, and back.
    var isBlocked = [false, false]
    var extraDelay: Int64 = 0
    /// The storage node that answers at the address instead of the right one.
    var misroute: StorageProcess?
    var wires: [Wire] = []
}

/// One TCP connection: bytes arrive in order or not at all, in any pieces, at any time; it can break anywhere.
final class Wire {
    enum Direction: Int {
        case toServer = 0
        case toClient = 1

        var back: Direction { self == .toServer ? .toClient : .toServer }
    }

    private struct Flow {
        /// What is on its way, in order; `nil` is the end.
        var pieces: [ByteBuffer?] = []
        var arrivesAt: Int64 = 0
        /// Pieces whose time has come and that a closed link holds back.
        var dueCount = 0
        var isCut = false
        var isEnded = false
    }

    let world: World
    let link: Link
    private var flows = [Flow(), Flow()]
    private var ends: [MessageEnd?] = [nil, nil]

    init(world: World, link: Link) {
        self.world = world
        self.link = link
        link.wires.append(self)
        world.atEnd { [weak self] in self?.forget() }
    }

    func attach(client: MessageEnd, server: MessageEnd) {
        ends = [client, server]
    }

    private func receiver(_ direction: Direction) -> MessageEnd? { ends[direction == .toServer ? 1 : 0] }

    func send(_ bytes: ByteBuffer, _ direction: Direction) {
        guard !flows[direction.rawValue].isCut, !flows[direction.rawValue].isEnded else { return }
        var rest = bytes
        // TCP keeps no boundaries: one write arrives in pieces.
        let pieceCount = world.chance(10) ? world.number(2...3) : 1
        for index in 0..<pieceCount where rest.readableBytes > 0 {
            let count = index == pieceCount - 1 ? rest.readableBytes : world.number(1...rest.readableBytes)
            if let piece = rest.readSlice(length: count) { enqueue(piece, direction) }
        }
    }

    /// This side closes; the other one sees the end after all bytes.
    func finish(_ direction: Direction) {
        guard !flows[direction.rawValue].isEnded else { return }
        enqueue(nil, direction)
        flows[direction.rawValue].isEnded = true
        ends[direction == .toServer ? 0 : 1] = nil
    }

    private func enqueue(_ piece: ByteBuffer?, _ direction: Direction) {
        let delay = world.time(30...400) + (link.extraDelay > 0 ? world.time(0...link.extraDelay) : 0)
        let index = direction.rawValue
        flows[index].arrivesAt = max(flows[index].arrivesAt, world.now + delay)
        flows[index].pieces.append(piece)
        world.after(flows[index].arrivesAt - world.now) { [self] in
            flows[index].dueCount += 1
            deliver(direction)
        }
    }

    /// Hands over what is due, unless the link is closed in that direction.
    func deliver(_ direction: Direction) {
        let index = direction.rawValue
        while flows[index].dueCount > 0, !flows[index].pieces.isEmpty, !link.isBlocked[index] {
            flows[index].dueCount -= 1
            let piece = flows[index].pieces.removeFirst()
            if flows[index].isCut { continue }
            guard let end = receiver(direction), end.process.isRunning, end.life == end.process.generation else {
                // Nobody is there: whoever sent it is told, when its host is up.
                if let end = receiver(direction), end.process.isRunning { reset(direction) }
                continue
            }
            if let piece { end.arrived(piece) } else { end.peerEnded() }
        }
    }

    /// The sender of a direction learns that its peer knows nothing of the connection.
    private func reset(_ direction: Direction) {
        let sender = receiver(direction.back)
        world.after(world.time(30...300)) { [self] in
            if !link.isBlocked[direction.back.rawValue] { sender?.peerEnded() }
        }
    }

    /// Breaks in the middle of a byte stream; both sides learn of it, or only one, or none.
    func cut(tellsClient: Bool, tellsServer: Bool) {
        for direction in [Direction.toServer, .toClient] {
            let index = direction.rawValue
            // What is due by chance still arrives, and half of the piece behind it.
            let kept = flows[index].pieces.isEmpty ? 0 : world.number(0...flows[index].pieces.count - 1)
            if kept < flows[index].pieces.count, let piece = flows[index].pieces[kept], piece.readableBytes > 1,
                let end = receiver(direction)
            {
                var part = piece
                if let slice = part.readSlice(length: world.number(1...piece.readableBytes - 1)) {
                    world.after(world.time(0...100)) {
                        if kept == 0, end.process.isRunning, end.life == end.process.generation { end.arrived(slice) }
                    }
                }
            }
            flows[index].isCut = true
        }
        let (client, server) = (ends[0], ends[1])
        world.after(world.time(120...2000)) {
            if tellsClient { client?.peerEnded() }
            if tellsServer { server?.peerEnded() }
        }
    }

    /// Changes a bit of what is on its way; the claim is whether there was anything.
    func corrupt(_ direction: Direction) -> Bool {
        let index = direction.rawValue
        for place in flows[index].pieces.indices {
            guard let piece = flows[index].pieces[place], piece.readableBytes > 0 else { continue }
            var bytes = Array(piece.readableBytesView)
            let victim = world.number(0...bytes.count - 1)
            bytes[victim] ^= UInt8(1 << world.number(0...7))
            flows[index].pieces[place] = ByteBuffer(bytes: bytes)
            return true
        }
        return false
    }

    /// The process of one side was killed: its system ends the connection.
    func killed(_ direction: Direction) {
        finish(direction)
    }

    /// Both processes and all they knew of each other are gone.
    func forget() {
        for end in ends { end?.forget() }
        ends = [nil, nil]
        flows = [Flow(), Flow()]
    }

    var isOver: Bool { ends[0] == nil && ends[1] == nil }
}
