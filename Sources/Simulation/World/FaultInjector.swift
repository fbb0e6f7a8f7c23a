// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Placement
import SegmentStore
import SimulatedDisk

/// Lets things go wrong, as the atlas of the plan allows, and ends what lasts a while.
final class FaultInjector {
    private let world: World
    private let cluster: SimulatedCluster
    private let staff: Operator
    private let tiering: TieringWork?
    private var isActive = true

    init(_ cluster: SimulatedCluster, _ staff: Operator, _ tiering: TieringWork?) {
        self.tiering = tiering
        self.world = cluster.world
        self.cluster = cluster
        self.staff = staff
        for node in cluster.nodes {
            node.crashed = { [unowned self] node in
                self.world.count(.crashAtEffect, node.name)
                self.die(node, withPower: self.world.chance(50))
            }
        }
    }

    // MARK: Course

    func start() {
        for node in cluster.nodes {
            node.store.faults.state.withLockedValue { state in
                state.isQuiet = false
                state.errorPercent = world.plan.diskErrorPercent
                state.allowed = world.plan.kinds
            }
        }
        for ingest in cluster.ingests {
            ingest.faults.state.withLockedValue { state in
                state.isQuiet = false
                state.errorPercent = world.plan.diskErrorPercent * 3
                if world.plan.allows(.journalSyncError) { state.allowed.formUnion([.syncError, .writeError]) }
                if world.plan.allows(.journalFull) { state.allowed.insert(.diskFull) }
            }
        }
        if world.plan.allows(.orderLost) { cluster.coordinator.lossPercent = 4 }
        schedule()
    }

    private func schedule() {
        let pause = Int64(1_000_000 / world.plan.faultsPerSecond)
        world.after(world.time(0...2 * pause)) { [self] in
            guard isActive else { return }
            inject()
            schedule()
        }
    }

    private func inject() {
        // Some faults come with the work itself, or with others.
        let drawn: [FaultKind] = [
            .nodeKill, .nodePowerLoss, .crashAtEffect, .nodePause, .nodeSlow, .clockJump, .nodeRestart, .diskFull,
            .bitRot, .badSector, .lostWrite, .misdirectedWrite, .syncError, .writeError, .partition, .partitionOneWay,
            .delay, .connectionCut, .halfOpen, .misroute, .wireCorruption, .ingestKill, .ingestPowerLoss, .ingestPause,
            .catalogAway, .catalogSlow, .catalogUnknown, .catalogFailover, .storeAway,
        ]
        let ofMembers: [FaultKind] = [
            .nodeLoss, .nodeAbsence, .nodeDrain, .nodeRemove, .nodeAdd, .coordinatorCut, .coordinatorChange,
        ]
        // What moves copies takes its time: it is seldomer.
        let kinds = world.chance(15) ? ofMembers : drawn
        guard let kind = world.pick(kinds.filter(world.plan.allows)) else { return }
        let spoils: Set<FaultKind> = [.bitRot, .badSector, .lostWrite, .misdirectedWrite, .nodeLoss, .nodeRemove]
        // Only on nodes that the atlas gives up.
        let nodes = spoils.contains(kind) ? cluster.members.filter(\.store.isUnsound) : cluster.members
        guard let node = world.pick(nodes) else { return }
        switch kind {
        case .nodeKill, .nodePowerLoss, .crashAtEffect, .nodePause, .nodeSlow, .clockJump, .nodeRestart, .nodeAbsence:
            if node.isRunning { hit(node, kind) }
        case .diskFull, .bitRot, .badSector, .lostWrite, .misdirectedWrite, .syncError, .writeError:
            hitDisk(of: node, kind)
        case .partition, .partitionOneWay, .delay, .connectionCut, .halfOpen, .misroute, .wireCorruption:
            if let ingest = world.pick(cluster.ingests) { hitNetwork(ingest, node, kind) }
        case .ingestKill, .ingestPowerLoss, .ingestPause:
            if let ingest = world.pick(cluster.ingests), ingest.isRunning { hit(ingest, kind) }
        case .catalogAway, .catalogSlow, .catalogUnknown, .catalogFailover: hitCatalog(kind)
        case .storeAway: tiering?.leave()
        default: hitMembership(of: node, kind)
        }
    }

    private func hitMembership(of node: StorageProcess, _ kind: FaultKind) {
        switch kind {
        case .nodeLoss:
            // Once, or there would be nothing left to rot.
            guard !cluster.nodes.contains(where: \.isLost), world.chance(50) else { return }
            for other in cluster.members where other === node || (other.domain == node.domain && world.chance(50)) {
                world.count(kind, other.name)
                other.lose()
            }
        case .nodeDrain: staff.drain(node)
        case .nodeRemove: staff.remove(node)
        case .nodeAdd: staff.addNode()
        case .coordinatorCut:
            let time = world.time(300_000...4_000_000)
            world.count(kind, "\(node.name) for \(time / 1000) ms")
            cluster.coordinator.cut.insert(node.store.number)
            world.after(time) { [self] in cluster.coordinator.cut.remove(node.store.number) }
        case .coordinatorChange:
            world.count(kind, "")
            cluster.coordinator.takeOver()
        default: break
        }
    }

    // MARK: When the work is done

    /// For a while coordinators, the catalog and processes have their troubles again; what disks have is left as it is.
    func disturb(for time: Int64) {
        let end = world.now + time
        world.isCalm = false
        if world.plan.allows(.orderLost) { cluster.coordinator.lossPercent = 4 }
        func next() {
            world.after(world.time(50_000...800_000)) { [self] in
                guard world.now < end else { return }
                disturbOnce()
                next()
            }
        }
        next()
    }

    private func disturbOnce() {
        let drawn: [FaultKind] = [
            .nodeKill, .nodePowerLoss, .nodePause, .nodeSlow, .catalogAway, .catalogSlow, .catalogUnknown,
            .catalogFailover, .coordinatorCut, .coordinatorChange, .storeAway,
        ]
        guard let kind = world.pick(drawn.filter(world.plan.allows)), let node = world.pick(cluster.members) else {
            return
        }
        switch kind {
        case .nodeKill, .nodePowerLoss, .nodePause, .nodeSlow: if node.isRunning { hit(node, kind) }
        case .coordinatorCut, .coordinatorChange: hitMembership(of: node, kind)
        case .storeAway: tiering?.leave()
        default: hitCatalog(kind)
        }
    }

    /// What ``disturb(for:)`` has broken works again.
    func calm() {
        world.isCalm = true
        for node in cluster.nodes {
            node.slowness = 1
            node.resume()
        }
        healOthers()
    }

    // MARK: Storage nodes

    private func hit(_ node: StorageProcess, _ kind: FaultKind) {
        switch kind {
        case .nodeKill, .nodePowerLoss:
            world.count(kind, node.name)
            die(node, withPower: kind == .nodePowerLoss)
        case .crashAtEffect: node.store.disk.setCrash(at: node.store.disk.effectCount + world.number(0...25))
        case .nodePause:
            let time = world.time(50_000...2_000_000)
            world.count(kind, "\(node.name) for \(time / 1000) ms")
            node.pause(for: time)
        case .nodeAbsence:
            let time = world.time(1_500_000...6_000_000)
            world.count(kind, "\(node.name) for \(time / 1000) ms")
            node.die(withPower: world.chance(50))
            restart(node, after: time)
        case .nodeSlow:
            world.count(kind, node.name)
            node.slowness = world.time(20...400)
            world.after(world.time(100_000...1_000_000)) { node.slowness = 1 }
        case .clockJump:
            let jump = world.time(-5_000...5_000)
            world.count(kind, "\(node.name) by \(jump) ms")
            node.store.skew.withLockedValue { $0 += jump }
            world.pick(cluster.ingests)?.jumpClock(by: jump)
        default:
            world.count(.nodeRestart, node.name)
            node.stop()
            restart(node, after: world.time(1000...200_000))
        }
    }

    private func die(_ node: StorageProcess, withPower: Bool) {
        guard node.isRunning else { return }
        node.die(withPower: withPower)
        restart(node, after: world.time(5_000...800_000))
    }

    private func restart(_ node: StorageProcess, after delay: Int64) {
        world.after(delay) { [self] in
            guard !node.isRunning, !node.isLost else { return }
            if isActive, world.plan.allows(.crashAtStart), world.chance(25) {
                node.store.disk.setCrash(at: node.store.disk.effectCount + world.number(0...8))
            }
            if node.start() {
                cluster.oracle.inspect(node)
            } else {
                if isActive { world.count(.crashAtStart, node.name) }
                if world.chance(30) { node.store.losePower() }
                restart(node, after: world.time(5_000...300_000))
            }
        }
    }

    private func hitDisk(of node: StorageProcess, _ kind: FaultKind) {
        let disk = node.store.disk
        switch kind {
        case .diskFull:
            world.count(kind, node.name)
            disk.setFreeBytes(UInt64(world.number(0...90_000)))
            world.after(world.time(100_000...900_000)) { node.store.disk.setFreeBytes(1 << 40) }
        case .syncError, .writeError:
            guard node.isRunning else { return }
            world.count(kind, node.name)
            node.store.faults.state.withLockedValue { $0.failNext = [kind == .syncError ? .sync : .write] }
        case .bitRot, .badSector: rot(node, kind)
        case .lostWrite, .misdirectedWrite:
            node.store.faults.state.withLockedValue { $0.lyingWrites += 1 }
        default: break
        }
    }

    private func rot(_ node: StorageProcess, _ kind: FaultKind) {
        let disk = node.store.disk
        guard let path = world.pick(disk.paths), let bytes = disk.bytes(at: path), !bytes.isEmpty else { return }
        // Most of a young segment is empty, and nobody would miss that.
        let places = (0..<8).map { _ in world.number(0...bytes.count - 1) }
        let place = places.first { bytes[$0] != 0 } ?? places[0]
        node.store.damageCount = node.store.damageCount.map { $0 + 1 }
        world.count(kind, "\(node.name): \(place) of \(path)")
        if kind == .bitRot {
            let mask = UInt8(1 << world.number(0...7))
            disk.tamper(path) { $0[place] ^= mask }
        } else {
            let start = place & ~511
            disk.breakSectors(of: path, start..<(start + 512))
        }
    }

    // MARK: Network

    private func hitNetwork(_ ingest: IngestProcess, _ node: StorageProcess, _ kind: FaultKind) {
        let link = cluster.link(ingest, node)
        switch kind {
        case .partition, .partitionOneWay:
            // Now and then the node is cut off from everyone.
            let links = world.chance(30) ? cluster.ingests.map { cluster.link($0, node) } : [link]
            let direction = kind == .partition ? nil : Int?(world.number(0...1))
            let time = world.time(20_000...2_500_000)
            world.count(kind, "\(ingest.name) and \(node.name) for \(time / 1000) ms")
            for link in links { block(link, direction) }
            world.after(time) { [self] in for link in links { unblock(link) } }
        case .delay:
            let time = world.time(50_000...1_500_000)
            world.count(kind, "\(ingest.name) and \(node.name) for \(time / 1000) ms")
            link.extraDelay = world.time(2_000...400_000)
            world.after(time) { link.extraDelay = 0 }
        case .connectionCut, .halfOpen:
            guard let wire = world.pick(link.wires.filter { !$0.isOver }) else { return }
            world.count(kind, "\(ingest.name) and \(node.name)")
            let isBoth = kind == .connectionCut
            let tellsClient = world.chance(50)
            wire.cut(tellsClient: isBoth || tellsClient, tellsServer: isBoth || (!tellsClient && world.chance(50)))
        case .misroute:
            let others = cluster.members.filter { $0 !== node } + [cluster.foreigner]
            link.misroute = world.chance(50) ? cluster.foreigner : world.pick(others)
            world.count(kind, "\(ingest.name) finds \(link.misroute?.name ?? "") as \(node.name)")
            for wire in link.wires { wire.cut(tellsClient: true, tellsServer: true) }
            world.after(world.time(50_000...700_000)) { link.misroute = nil }
        default:
            guard let wire = world.pick(link.wires.filter { !$0.isOver }) else { return }
            if wire.corrupt(world.chance(50) ? .toServer : .toClient) {
                world.count(kind, "\(ingest.name), \(node.name)")
            }
        }
    }

    private func block(_ link: Link, _ direction: Int?) {
        for index in 0...1 where direction == nil || direction == index { link.isBlocked[index] = true }
    }

    private func unblock(_ link: Link) {
        link.isBlocked = [false, false]
        for wire in link.wires {
            wire.deliver(.toServer)
            wire.deliver(.toClient)
        }
    }

    // MARK: Others

    private func hit(_ ingest: IngestProcess, _ kind: FaultKind) {
        switch kind {
        case .ingestPause:
            let time = world.time(50_000...2_000_000)
            world.count(kind, "\(ingest.name) for \(time / 1000) ms")
            ingest.pause(for: time)
        default:
            world.count(kind, ingest.name)
            ingest.die(withPower: kind == .ingestPowerLoss)
            world.after(world.time(20_000...500_000)) { if !ingest.isRunning { ingest.start() } }
        }
    }

    private func hitCatalog(_ kind: FaultKind) {
        let catalog = cluster.catalog
        let time = world.time(100_000...1_500_000)
        switch kind {
        case .catalogAway:
            world.count(kind, "for \(time / 1000) ms")
            catalog.isAway = true
            world.after(time) { catalog.isAway = false }
        case .catalogSlow:
            world.count(kind, "for \(time / 1000) ms")
            catalog.isSlow = true
            world.after(time) { catalog.isSlow = false }
        case .catalogFailover:
            world.count(kind, "")
            catalog.failOver()
            cluster.coordinator.takeOver()
        default:
            catalog.unknownPercent = Double(world.number(10...80))
            world.after(time) { catalog.unknownPercent = 0 }
        }
    }

    // MARK: The end of it

    /// Nothing goes wrong any more, and what was broken works again.
    func heal() {
        isActive = false
        world.isCalm = true
        for node in cluster.nodes {
            node.store.faults.state.withLockedValue { $0.isQuiet = true }
            node.store.disk.setFreeBytes(1 << 40)
            node.store.disk.setCrash(at: nil)
            node.slowness = 1
            node.resume()
            guard node.isMember, !node.isLost else { continue }
            // An operator restarts what takes no records; of the rest some go on as they are.
            let acceptsWrites = node.store.engine?.status.acceptsWrites ?? false
            if node.isRunning, !acceptsWrites || world.chance(20) { node.die(withPower: world.chance(30)) }
            node.store.disk.setFreeBytes(1 << 40)
            if !node.isRunning, !node.start() {
                world.note("\(node.name) stays down: \(node.lastStartFailure?.description ?? "")")
                if !node.store.isUnsound { world.violate("\(node.name), which is sound, does not start again") }
                // An operator gives it up.
                node.lose()
                continue
            }
            node.unchecked = Set(node.store.segments)
        }
        healOthers()
        for ingest in cluster.ingests {
            ingest.faults.state.withLockedValue { $0.isQuiet = true }
            ingest.resume()
            if !ingest.isRunning { ingest.start() }
            for node in cluster.nodes {
                let link = cluster.link(ingest, node)
                link.extraDelay = 0
                link.misroute = nil
                unblock(link)
            }
        }
    }

    private func healOthers() {
        cluster.coordinator.lossPercent = 0
        cluster.coordinator.cut = []
        cluster.catalog.isAway = false
        cluster.catalog.isSlow = false
        cluster.catalog.unknownPercent = 0
    }
}
