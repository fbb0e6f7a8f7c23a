// SPDX-License-Identifier: Apache-2.0

import Placement

/// What a disk has room for.
enum DiskSpace: Hashable, Sendable {
    case ample
    /// At or below the soft limit: only tombstones and amendments.
    case low
    /// At or below the hard limit: nothing, so that what must be noted to close and to recover still fits.
    case exhausted

    init(freeBytes: UInt64, _ configuration: SegmentStore.Configuration) {
        if freeBytes > configuration.softLimitFreeBytes {
            self = .ample
        } else {
            self = freeBytes > configuration.effectiveHardLimitFreeBytes ? .low : .exhausted
        }
    }

    /// Whether a record, or one that says something about another, is taken.
    func accepts(isAmendment: Bool) -> Bool {
        switch self {
        case .ample: true
        case .low: isAmendment
        case .exhausted: false
        }
    }

    /// Why less is taken than usual; `nil` when nothing is wrong.
    func reason(_ configuration: SegmentStore.Configuration) -> String? {
        switch self {
        case .ample: nil
        case .low:
            "free space is at or below the soft limit of \(configuration.softLimitFreeBytes) bytes: "
                + "only tombstones and amendments are taken; free some or add a node"
        case .exhausted:
            "free space is at or below the hard limit of \(configuration.effectiveHardLimitFreeBytes) bytes: "
                + "nothing is taken; free some"
        }
    }

    /// The error for a record that is not taken.
    func error(_ record: RecordID?, _ configuration: SegmentStore.Configuration) -> SegmentStoreError {
        SegmentStoreError(.full, reason(configuration) ?? "too little space is left on the disk", record: record)
    }
}

extension SegmentStore.Configuration {
    /// The hard limit, kept below a soft limit that is set very low.
    var effectiveHardLimitFreeBytes: UInt64 { min(hardLimitFreeBytes, softLimitFreeBytes / 2) }
}

extension StoreView {
    /// What the disk has room for; what can't be told, the writes themselves will tell.
    var space: DiskSpace {
        // Losing the error is right: a disk that is not there fails the write that follows.
        guard let freeBytes = try? disk.freeByteCount(at: configuration.directory) else { return .ample }
        return DiskSpace(freeBytes: freeBytes, configuration)
    }
}
