// SPDX-License-Identifier: Apache-2.0

/// A deliberate mistake, built into the simulator's own layers round the real machines, that a run must find.
///
/// The bug bank: if one of these is not found, the simulator is blind to its kind. Production code knows nothing of them.
package enum Defect: String, CaseIterable, Sendable {
    // In the disk under a store.
    case skipSync
    case skipDirectorySync
    case ignoreSyncError
    case retryFailedSync
    case trustPageCache
    case reuseSegment
    // In the storage node.
    case acknowledgeBeforeSync
    case staleIndex
    case truncateDamage
    case certainWhenUncertain
    case ignoreChecksumOnRead
    case ignoreOwnPlaceOnRead
    case dropTombstonesAtStart
    case ignoreHold
    case ignoreTerm
    case leakCredit
    case leakMemory
    case removeBeforeCopy
    case scrubReadsNothing
    case clearUnhealed
    case pullUnchecked
    // In the sessions.
    case ignoreCluster
    case ignoreNode
    case partialGetAsWhole
    // In the ingest node.
    case acknowledgeOneCopy
    case ignoreHosts
    case acknowledgeFailedWrite
    case conflictAsDuplicate
    case forgetReplacements
    case loseUnknownOutcome
    case acknowledgeBeforeJournal
    case skipJournalSync
    case dropJournalEarly
    case neverDrain
    // In the coordinator.
    case neverHeal
    case neverRepair
    case countBeforeDurable
    case countUnderOldTerm
    case removeBesideDown
    case dropCounted
    case dropLate
    case neverCompare
    case uncountUnread
    case recountDropping
    case countBesideDropping
    // In the moving of studies into packs.
    case countUnread
    case dropUnproven
    case dropPackedHeld
    case dropPackedUnderOldTerm
    case dropCancelled
    case giveUpOnly
    case readPackUnchecked
    // In the catalog.
    case enterTwice
    case overwriteConflict
}
