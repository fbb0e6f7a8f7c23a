// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat

/// The file with the store's durable facts about its segments; used by one thread at a time.
struct ManifestFile: Sendable {
    private let file: any DiskFile
    private let cluster: ClusterID
    private let node: NodeID
    private(set) var state: ManifestState

    /// The largest manifest that is read: over a hundred thousand segments.
    private static let maximumByteCount: UInt64 = 1 << 30

    /// Opens the manifest at `path` in `directory`, or makes an empty one.
    ///
    /// `wasThere` is false when it had to be made.
    static func open(
        disk: any Disk,
        directory: String,
        cluster: ClusterID,
        node: NodeID
    ) throws(SegmentStoreError) -> (manifest: ManifestFile, wasThere: Bool) {
        let path = "\(directory)/MANIFEST"
        do {
            if let file = try disk.openFile(path) {
                // What a killed process wrote and did not sync must be on the disk before it is believed.
                try file.sync()
                file.dropCache()
                let byteCount = try file.byteCount()
                guard byteCount <= maximumByteCount else {
                    throw SegmentStoreError(.openFailed, "\(path) is over \(maximumByteCount) bytes")
                }
                let bytes = try file.read(at: 0, byteCount: Int(byteCount))
                let state = try ManifestState(replaying: bytes, cluster: cluster, node: node)
                return (ManifestFile(file: file, cluster: cluster, node: node, state: state), true)
            }
            let file = try disk.createFile(path)
            try disk.syncDirectory(directory)
            return (ManifestFile(file: file, cluster: cluster, node: node, state: ManifestState()), false)
        } catch let error as SegmentStoreError {
            throw error
        } catch let error as SegmentFormatError {
            let code: SegmentStoreError.Code = error.code == .foreign ? .foreign : .openFailed
            throw SegmentStoreError(code, "\(path): \(error.message)")
        } catch {
            throw SegmentStoreError(.openFailed, "\(path) can't be opened: \(error)")
        }
    }

    /// Appends `entries` and returns when they are durable; all of them become true together when they fit a block.
    mutating func append(_ entries: [ManifestEntry]) throws(DiskError) {
        var rest = entries[...]
        while !rest.isEmpty {
            let block = ManifestBlock(
                sequence: state.nextSequence,
                cluster: cluster,
                node: node,
                entries: Array(rest.prefix(ManifestBlock.maximumEntryCount))
            )
            rest = rest.dropFirst(ManifestBlock.maximumEntryCount)
            try file.write([block.encoded()], at: state.nextOffset)
            // Each block by itself: a later one that is there without it would look like damage.
            try file.sync()
            state.appended(block)
        }
    }

    /// What the state will be when `entries` are written, too.
    func state(with entries: [ManifestEntry]) -> ManifestState {
        var state = state
        var rest = entries[...]
        while !rest.isEmpty {
            state.appended(
                ManifestBlock(
                    sequence: state.nextSequence,
                    cluster: cluster,
                    node: node,
                    entries: Array(rest.prefix(ManifestBlock.maximumEntryCount))
                )
            )
            rest = rest.dropFirst(ManifestBlock.maximumEntryCount)
        }
        return state
    }
}
