// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SegmentFormat

/// Where a reader gets segment files from.
protocol SegmentFileSource: Sendable {
    /// The file of `segment` if it is open already.
    func openFile(of segment: SegmentID) -> (any DiskFile)?
    /// The open file of `segment`; `nil` when there is none.
    func file(of segment: SegmentID) throws(DiskError) -> (any DiskFile)?
}

/// The segment files of a store, a limited number of them open.
final class SegmentFiles: SegmentFileSource {
    private struct State {
        var open: [SegmentID: (file: any DiskFile, lastUse: UInt64)] = [:]
        var useCount: UInt64 = 0
    }

    let directory: String
    private let disk: any Disk
    private let limit: Int
    private let state = NIOLockedValueBox(State())

    init(disk: any Disk, directory: String, limit: Int) {
        self.disk = disk
        self.directory = directory
        self.limit = max(1, limit)
    }

    func path(of segment: SegmentID) -> String {
        "\(directory)/\(segment.fileName)"
    }

    /// The file of `segment` if it is open already.
    func openFile(of segment: SegmentID) -> (any DiskFile)? {
        state.withLockedValue { state in
            state.useCount += 1
            state.open[segment]?.lastUse = state.useCount
            return state.open[segment]?.file
        }
    }

    /// The open file of `segment`; `nil` when there is none.
    func file(of segment: SegmentID) throws(DiskError) -> (any DiskFile)? {
        if let known = openFile(of: segment) { return known }
        guard let file = try disk.openFile(path(of: segment)) else { return nil }
        add(file, for: segment)
        return file
    }

    /// Keeps `file`, which was just made, among the open ones.
    func add(_ file: any DiskFile, for segment: SegmentID) {
        let evicted: (any DiskFile)? = state.withLockedValue { state in
            state.useCount += 1
            state.open[segment] = (file, state.useCount)
            guard state.open.count > limit else { return nil }
            let oldest = state.open.min { $0.value.lastUse < $1.value.lastUse }
            return oldest.flatMap { state.open.removeValue(forKey: $0.key)?.file }
        }
        // Closed here, outside the lock, unless an operation still holds it.
        _ = evicted
    }

    /// Removes the file of a segment that holds nothing acknowledged.
    func remove(_ segment: SegmentID) throws(DiskError) {
        _ = state.withLockedValue { $0.open.removeValue(forKey: segment) }
        try disk.removeFile(path(of: segment))
    }

    /// Takes the file of a segment out of use and puts it into `trash`; whoever reads it goes on reading.
    func trash(_ segment: SegmentID, to trash: String) throws(DiskError) {
        _ = state.withLockedValue { $0.open.removeValue(forKey: segment) }
        try disk.moveFile(path(of: segment), to: "\(trash)/\(segment.fileName)")
    }

    func closeAll() {
        state.withLockedValue { $0.open.removeAll() }
    }
}
