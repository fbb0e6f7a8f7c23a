// SPDX-License-Identifier: Apache-2.0

/// The kinds of trouble that a run can have.
package enum FaultKind: String, CaseIterable, Sendable, Comparable {
    // Storage nodes and their disks.
    case nodeKill, nodePowerLoss, crashAtEffect, crashAtStart, nodePause, nodeSlow, clockJump, nodeRestart
    case syncError, writeError, readError, diskFull
    case bitRot, badSector, lostWrite, misdirectedWrite
    // Network.
    case partition, partitionOneWay, delay, connectionCut, halfOpen, misroute, wireCorruption
    // Ingest nodes.
    case ingestKill, ingestPowerLoss, ingestPause, journalSyncError, journalFull
    // Catalog, coordinator, clients.
    case catalogAway, catalogSlow, catalogUnknown, catalogFailover
    case staleCoordinator, orderLost, clientGivesUp
    // Nodes that stay away, and what operators do about nodes.
    case nodeLoss, nodeAbsence, nodeDrain, nodeRemove, nodeAdd
    case coordinatorCut, coordinatorChange
    // Where nodes and catalog differ, and no node knows it.
    case copyMislaid, copyUncounted
    // In the cold store, and on the way to it.
    case storeAway, packPutFails, packAnswerLost, packUnseen, packReadFails, packRot

    /// Those of runs with tiering only.
    static let ofPacks: [FaultKind] = [
        .storeAway, .packPutFails, .packAnswerLost, .packUnseen, .packReadFails, .packRot,
    ]

    /// Its place in the list.
    var number: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    package static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}
