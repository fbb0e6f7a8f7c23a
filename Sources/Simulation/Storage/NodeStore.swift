// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore
import SimulatedDisk

/// The disk of one storage node and the real `StoreEngine` on it, through all its lives.
final class NodeStore {
    let number: Int
    let id: NodeID
    let configuration: SegmentStore.Configuration
    let faults: DiskFaults
    /// By how much the node's wall clock is wrong, in milliseconds.
    let skew = NIOLockedValueBox<Int64>(0)
    private(set) var disk: SimulatedDisk
    private(set) var indexes = MemoryIndexProvider()
    /// Between a start and the next death.
    var engine: StoreEngine?
    /// How many places of the disk were damaged; `nil` when its writes went astray, and nobody can tell.
    var damageCount: Int? = 0
    /// Whether the last start could read all that it wanted to.
    private(set) var isWhole = true
    /// What the file of the fence says.
    var fencePosition = FencePosition()
    private var boot = 1
    private let world: World
    private static let logger = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }

    init(world: World, number: Int, cluster: ClusterID) {
        self.world = world
        self.number = number
        self.id = NodeID(high: 7, low: UInt64(number + 1))
        self.faults = DiskFaults(seed: world.plan.seed &* 31 &+ UInt64(number))
        self.disk = SimulatedDisk(seed: world.plan.seed &+ UInt64(number))
        var configuration = SegmentStore.Configuration(directory: "/data/store", clusterID: cluster, nodeID: id)
        configuration.segmentByteCount = 64 << 10
        configuration.allocationByteCount = 16 << 10
        configuration.largeRecordByteCount = Limits.wholeByteCount
        configuration.softLimitFreeBytes = 64 << 10
        configuration.hardLimitFreeBytes = 16 << 10
        configuration.maximumOpenFileCount = 3
        configuration.trashGrace = .milliseconds(200)
        self.configuration = configuration
        attachFaults()
    }

    var isUnsound: Bool { world.plan.unsoundNodes.contains(number) }

    private func attachFaults() {
        let faults = faults
        disk.setFaults { [weak disk] event in
            guard let disk else { return nil }
            return faults.decide(event, on: disk)
        }
    }

    // MARK: Lives

    func environment(_ disk: any Disk, boot: Int, indexes: any RecordIndexProvider) -> StoreEnvironment {
        let (clock, skew) = (world.clock, skew)
        return StoreEnvironment(
            disk: disk,
            clock: StoreClock(
                wallMilliseconds: { 1_800_000_000_000 + clock.now / 1000 + skew.withLockedValue { $0 } },
                monotonicNanoseconds: { clock.now * 1000 }
            ),
            indexes: indexes,
            boot: BootID(high: 1, low: world.has(.staleIndex) ? 1 : UInt64(boot)),
            logger: Self.logger
        )
    }

    /// Opens the store as a process that starts does.
    func open() throws(SegmentStoreError) {
        // Whoever runs the node sees to it that the directory above the store is there, and stays.
        do throws(DiskError) {
            try disk.createDirectory("/data")
            try disk.syncDirectory("/")
        } catch {
            throw SegmentStoreError(.openFailed, "the directory above the store: \(error)")
        }
        if world.has(.truncateDamage) { truncateDamage() }
        let defective = world.plan.defect.map { DefectiveDisk(disk, $0) }
        let forgetful = world.has(.dropTombstonesAtStart) ? ForgetfulIndexes(indexes) : nil
        let provider: any RecordIndexProvider = forgetful ?? indexes
        engine = try StoreEngine(
            opening: configuration,
            in: environment(defective ?? disk, boot: boot, indexes: provider)
        )
        isWhole = !(engine?.status.quarantinedRanges.contains { $0.kind == .damaged } ?? false)
        forgetful?.started()
    }

    /// The process is killed; the system goes on.
    func kill() {
        engine?.abandon()
        engine = nil
        disk = disk.afterProcessKill()
        attachFaults()
    }

    /// The machine loses its power.
    func losePower() {
        engine?.abandon()
        engine = nil
        disk = disk.afterPowerLoss(using: &world.random)
        boot += 1
        attachFaults()
        if world.has(.staleIndex) { tearIndex() }
    }

    /// Leaves in order.
    func close() {
        engine?.close()
        engine = nil
        if disk.isCrashed { kill() }
    }

    // MARK: What would be left

    /// What a loss of power now would leave at the least, opened; `nil` when it can't be opened.
    func afterWorstLoss() -> StoreEngine? {
        var worst = WorstCase()
        let left = disk.afterPowerLoss(using: &worst)
        if (try? left.createDirectory("/data")) == nil { return nil }
        return try? StoreEngine(
            opening: configuration,
            in: environment(left, boot: 1_000_000, indexes: MemoryIndexProvider())
        )
    }

    // MARK: Defects

    /// Leaves of the index what a loss of power may leave of a file that was never synced: some of its pages.
    private func tearIndex() {
        let owner = IndexOwner(cluster: configuration.clusterID, node: id)
        let torn = MemoryIndexProvider()
        guard let old = try? indexes.open(for: owner), let new = try? torn.open(for: owner) else { return }
        for number in UInt16(0)..<UInt16(PlacementGroup.count) {
            guard let group = PlacementGroup(rawValue: number) else { continue }
            for id in (try? old.list(group: group, after: nil, limit: 1000)) ?? [] where world.chance(50) {
                guard let locator = try? old.lookUp([id]).first?.locator else { continue }
                _ = try? new.insert([IndexedRecord(id: id, locator: locator)], segment: locator.segment, indexedUpTo: 0)
            }
        }
        for path in disk.paths {
            guard let name = path.split(separator: "/").last, let segment = SegmentID(fileName: String(name)),
                let end = try? old.indexedEnd(of: segment)
            else { continue }
            _ = try? new.insert([], segment: segment, indexedUpTo: end)
        }
        indexes = torn
    }

    /// Cuts every segment behind its first whole batch that is followed by something broken.
    private func truncateDamage() {
        for path in disk.paths where path.contains("/segments/") {
            guard let name = path.split(separator: "/").last, let segment = SegmentID(fileName: String(name)),
                let bytes = disk.bytes(at: path)
            else { continue }
            var scanner = SegmentScanner(
                cluster: configuration.clusterID,
                segment: segment,
                start: UInt64(SegmentHeader.byteCount),
                fileByteCount: UInt64(bytes.count)
            )
            var result: SegmentScanner.Result?
            while result == nil {
                switch scanner.next() {
                case .read(let offset, let byteCount):
                    let start = min(Int(offset), bytes.count)
                    scanner.received(.init(bytes: bytes[start..<min(bytes.count, start + byteCount)]))
                case .findData(let offset):
                    let start = min(Int(offset), bytes.count)
                    scanner.receivedData(at: bytes[start...].firstIndex { $0 != 0 }.map { UInt64($0) & ~4095 })
                case .record: break
                case .finished(let end): result = end
                }
            }
            guard let first = result?.unreadable.first else { continue }
            disk.tamper(path) { $0.removeLast($0.count - min($0.count, Int(first.range.lowerBound))) }
        }
    }

    /// The segments whose files are in place.
    var segments: [SegmentID] {
        disk.paths.compactMap { path in
            guard path.contains("/segments/"), let name = path.split(separator: "/").last else { return nil }
            return SegmentID(fileName: String(name))
        }.sorted()
    }

    /// Whether the index does not know a record, or its segment's file is gone or ends before it does.
    func isGone(_ id: RecordID) -> Bool {
        guard let locator = locator(of: id),
            let bytes = disk.bytes(at: "/data/store/segments/\(locator.segment.fileName)")
        else { return true }
        return UInt64(bytes.count) < locator.offset + locator.extent.byteCount
    }

    func locator(of id: RecordID) -> RecordLocator? {
        let owner = IndexOwner(cluster: configuration.clusterID, node: self.id)
        return try? indexes.open(for: owner).lookUp([id]).first?.locator
    }
}

/// Chance at its worst: of what was not synced nothing is kept.
private struct WorstCase: RandomNumberGenerator {
    // `Bool.random` reads bit 17; the first of any choice otherwise.
    mutating func next() -> UInt64 { 1 << 17 }
}

/// The limits of the simulated cluster: small, so that every one of them is reached.
enum Limits {
    static let wholeByteCount = 8 << 10
    static let windowByteCount = 6 << 10
    static let streamCredit = 3 << 10
    static let connectionCredit = 5 << 10
    static let memoryByteCount = 32 << 10
    static let readAheadByteCount = 4 << 10
    static let getCredit: UInt64 = 6 << 10
    static let maximumStreams: UInt32 = 24
    // Microseconds.
    static let connectTimeout: Int64 = 400_000
    static let pingInterval: Int64 = 200_000
    static let pingTimeout: Int64 = 800_000
    static let idleTimeout: Int64 = 1_500_000
    static let requestTimeout: Int64 = 1_500_000
    static let orderTimeout: Int64 = 1_000_000
    static let slowNodeDelay: Int64 = 250_000
    static let repeatPatience: Int64 = 200_000
    static let acknowledgementSpread: Int64 = 2_000_000
    static let lossSettling: Int64 = 2_500_000
    static let catalogTimeout: Int64 = 400_000
    static let healthInterval: Int64 = 200_000
    static let storeTimeout: Int64 = 400_000
    static let packTimeout: Int64 = 4_000_000
    static let staleListing: Int64 = 800_000
    /// What was sent to the catalog is done by then, or never.
    static let longestStatement: Int64 = 2_000_000
    /// The longest that a drop is put off: so that a run meets the second attempt.
    static let longestPutOff: Int64 = 1_000_000
    static let clientTimeout: Int64 = 5_000_000
}
