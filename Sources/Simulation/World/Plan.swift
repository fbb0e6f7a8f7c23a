// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Repair
import SimulatedDisk

/// What a seed makes of a run: the shape of the cluster, its work, and the atlas of its faults.
///
/// The atlas says which faults may hit which nodes, so that enough copies stay good: nodes on at most `acknowledgements
/// - 1` hosts are *unsound*, their disks may lose or change what they have acknowledged. All others may die at any
/// moment and lose what was not synced, but their disks keep their word. Only unsound nodes are lost for good while there is
/// work. What is lost in the second act, when all has been repaired, may be any one host: the copies that were counted are there.
struct Plan {
    /// What happens when the work is done and everything is as it should be.
    enum Scene: CaseIterable {
        /// A host is lost with all that it has.
        case loss
        /// A node is emptied and removed.
        case removal
        /// A node is added.
        case growth
    }

    let seed: UInt64
    let defect: Defect?
    /// Hosts of the storage nodes, by number.
    var hosts: [Int] = []
    /// Hosts of nodes that can be added, one each.
    var spareHosts: [Int] = []
    var secondAct: [Scene] = []
    var repair = RepairLimits()
    var membership = MembershipLimits()
    /// What each node says that it is to count in the placement map, spares last.
    var weights: [UInt32] = []
    var copies = 2
    var acknowledgements = 2
    var ingestCount = 2
    var instanceCount = 30
    /// Microseconds of work.
    var duration: Int64 = 5_000_000
    /// Faults a second, while there is work.
    var faultsPerSecond = 5.0
    var kinds: Set<FaultKind> = []
    var unsoundNodes: Set<Int> = []
    /// How long a pass of the comparison would take if all groups had records, and how long nodes have to be sure for it.
    var comparisonPeriod = Duration.zero
    var trustSettling = Duration.zero
    /// Copies that nodes lose without knowing it, and copies that the catalog does not learn of, when the work is done.
    var mislaidCount = 0
    var uncountedCount = 0
    /// How studies are moved to a cold store; nil where they are not.
    var tiering: Tiering?
    /// Percent of disk operations that fail, where the atlas allows it.
    var diskErrorPercent = 0.0

    let cluster = ClusterID(high: 0x5641_5256, low: 1)

    init(seed: UInt64, defect: Defect? = nil) {
        self.seed = seed
        self.defect = defect
        var random = SeededGenerator(seed: seed)
        let hostCount = Int.random(in: 3...5, using: &random)
        hosts = Array(0..<hostCount)
        // Some hosts have two nodes, so that two copies on one host are possible.
        for host in 0..<hostCount where Int.random(in: 0..<3, using: &random) == 0 { hosts.append(host) }
        acknowledgements = Int.random(in: 0..<5, using: &random) == 0 ? 3 : 2
        copies = min(hostCount, acknowledgements + (Bool.random(using: &random) ? 1 : 0))
        acknowledgements = min(acknowledgements, copies)
        ingestCount = Int.random(in: 1...3, using: &random)
        instanceCount = Int.random(in: 15...45, using: &random)
        faultsPerSecond = Double.random(in: 2...12, using: &random)
        diskErrorPercent = [0, 0, 0.2, 1][Int.random(in: 0..<4, using: &random)]
        // A swarm: each run has its own mixture, seldom all at once.
        let percent = [30, 60, 100][Int.random(in: 0..<3, using: &random)]
        kinds = Set(
            FaultKind.allCases.filter { !FaultKind.ofPacks.contains($0) }.filter { _ in
                Int.random(in: 0..<100, using: &random) < percent
            }
        )
        if Bool.random(using: &random) {
            var order = Array(0..<hostCount)
            order.shuffle(using: &random)
            // Enough hosts stay sound to store on.
            let unsound = Set(order.prefix(min(acknowledgements - 1, hostCount - acknowledgements)))
            unsoundNodes = Set(hosts.indices.filter { unsound.contains(hosts[$0]) })
        }
        planRepair(hostCount, using: &random)
        planComparison(using: &random)
        planTiering(using: &random)
    }

    private mutating func planComparison(using random: inout SeededGenerator) {
        let pause = Int.random(in: 50...600, using: &random)
        comparisonPeriod = .milliseconds(pause) * PlacementGroup.count
        trustSettling = .milliseconds(Int.random(in: 300...2_500, using: &random))
        guard Bool.random(using: &random) else { return }
        mislaidCount = Int.random(in: 0...6, using: &random)
        uncountedCount = Int.random(in: 0...4, using: &random)
    }

    private mutating func planRepair(_ hostCount: Int, using random: inout SeededGenerator) {
        if Int.random(in: 0..<100, using: &random) < 40 {
            secondAct = Scene.allCases.filter { _ in Int.random(in: 0..<100, using: &random) < 60 }
        }
        // So many that what is lost can be removed, whatever else is: that needs the copies on other hosts.
        let isAnythingLost = !unsoundNodes.isEmpty || !secondAct.isEmpty
        let spareCount = isAnythingLost ? copies : Int.random(in: 0...1, using: &random)
        spareHosts = (0..<spareCount).map { hostCount + $0 }
        repair.streamsPerNode = Int.random(in: 1...16, using: &random)
        repair.bytesPerSecond = Bool.random(using: &random) ? 0 : Int64.random(in: 20_000...200_000, using: &random)
        repair.passingPause = .milliseconds(300)
        repair.backOff.first = .milliseconds(200)
        repair.backOff.longest = .milliseconds(1_600)
        repair.surveyInterval = .milliseconds(1_000)
        membership.suspectAfter = .milliseconds(450)
        let downAfter = Int.random(in: 900...1_800, using: &random)
        membership.downAfter = .milliseconds(downAfter)
        membership.outAfter = .milliseconds(downAfter + Int.random(in: 600...2_000, using: &random))
        membership.massLossWindow = .milliseconds(800)
        membership.longestBeat = .milliseconds(500)
        membership.steadyAfter = .milliseconds(Int.random(in: 0...1_000, using: &random))
        membership.weightsSettleAfter = .milliseconds(Int.random(in: 200...2_000, using: &random))
        let areAlike = Bool.random(using: &random)
        weights = (0..<hosts.count + spareHosts.count).map { _ in areAlike ? 100 : .random(in: 50...400, using: &random)
        }
    }

    func allows(_ kind: FaultKind) -> Bool { kinds.contains(kind) }
}
