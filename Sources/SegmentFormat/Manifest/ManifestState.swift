// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// What a manifest says about a store, as the sum of its entries.
public struct ManifestState: Sendable {
    /// Where a segment's records end, and how that is known.
    public enum Extent: Hashable, Sendable {
        /// The segment was in use: only a scan tells.
        case open
        /// The footer says it.
        case sealed(SegmentClass, footerOffset: UInt64)
        /// A scan after an unclean stop has told.
        case recovered(end: UInt64)
    }

    public private(set) var segments: [SegmentID: Extent] = [:]
    /// Unreadable ranges by segment, in the order in which they were found.
    public private(set) var unreadable: [(segment: SegmentID, range: UnreadableRange)] = []
    /// When segments were last read and checked, in milliseconds since 1970.
    public private(set) var scrubbed: [SegmentID: Int64] = [:]
    /// Segments in the trash, with the time when they went there in milliseconds since 1970.
    public private(set) var retired: [SegmentID: Int64] = [:]
    /// Ranges that were unreadable and whose records are stored elsewhere now.
    public private(set) var healed: [(segment: SegmentID, range: UnreadableRange)] = []
    public private(set) var reservedBelow = SegmentID(rawValue: 1)
    /// The run of the operating system in which the store was last in use.
    public private(set) var lastBoot: BootID?
    /// Whether the last process left the store in order; true for a new one.
    public private(set) var isClosed = true
    /// Whether acknowledged records may be missing.
    public private(set) var isUncertain = false
    /// The highest term of a coordinator that was heard of.
    public private(set) var highestTerm = Term(rawValue: 0)
    /// Whether records of type drop may be in segments.
    public private(set) var hasDrops = false
    /// Whether blocks are missing or out of order: facts may be lost, and the segments themselves must be looked at.
    public private(set) var isDamaged = false
    /// Where the next block goes.
    public private(set) var nextOffset: UInt64 = 0
    public private(set) var nextSequence: UInt64 = 0

    public init() {}

    /// Replays a manifest's `bytes`.
    ///
    /// An unreadable block is a torn write when the sequence goes on without a gap, else damage. Fails only when the
    /// manifest belongs to another cluster or node, or a version of this program wrote it that knows more.
    public init(replaying bytes: ByteBuffer, cluster: ClusterID, node: NodeID) throws(SegmentFormatError) {
        self.init()
        var rest = bytes
        // A block that was cut short is filled up with zeros when the next one is written behind it, and may so become
        // valid: whether it counts is decided now, in the same way.
        let excess = bytes.readableBytes % ManifestBlock.byteCount
        if excess > 0 { rest.writeZeros(ManifestBlock.byteCount - excess) }
        while let slot = rest.readSlice(length: ManifestBlock.byteCount) {
            nextOffset += UInt64(ManifestBlock.byteCount)
            let block: ManifestBlock
            do {
                block = try ManifestBlock(decoding: slot)
            } catch {
                if error.code == .unsupportedVersion { throw error }
                continue
            }
            guard block.cluster == cluster, block.node == node else {
                throw SegmentFormatError(.foreign, "manifest belongs to cluster \(block.cluster), node \(block.node)")
            }
            if block.sequence != nextSequence { isDamaged = true }
            nextSequence = max(nextSequence, block.sequence &+ 1)
            for entry in block.entries { apply(entry) }
        }
    }

    /// Notes that `block` was written at `nextOffset`.
    public mutating func appended(_ block: ManifestBlock) {
        nextOffset += UInt64(ManifestBlock.byteCount)
        nextSequence = block.sequence &+ 1
        for entry in block.entries { apply(entry) }
    }

    private mutating func apply(_ entry: ManifestEntry) {
        switch entry {
        case .opened(let boot):
            lastBoot = boot
            isClosed = false
        case .reserved(let below): reservedBelow = max(reservedBelow, below)
        case .created(let segment): segments[segment] = .open
        case .sealed(let segment, let segmentClass, let footerOffset):
            segments[segment] = .sealed(segmentClass, footerOffset: footerOffset)
        case .recovered(let segment, let end): segments[segment] = .recovered(end: end)
        case .unreadable(let segment, let range):
            healed.removeAll { $0.segment == segment && $0.range == range }
            if !unreadable.contains(where: { $0.segment == segment && $0.range == range }) {
                unreadable.append((segment, range))
            }
        case .healed(let segment, let range):
            unreadable.removeAll { $0.segment == segment && $0.range == range }
            healed.append((segment, range))
        case .sound(let segment, let range):
            unreadable.removeAll { $0.segment == segment && $0.range == range }
        case .scrubbed(let segment, let time): scrubbed[segment] = time
        case .retired(let segment, let time):
            segments[segment] = nil
            scrubbed[segment] = nil
            unreadable.removeAll { $0.segment == segment }
            healed.removeAll { $0.segment == segment }
            retired[segment] = time
        case .purged(let segment, _): retired[segment] = nil
        case .writeFailed: break
        case .drops: hasDrops = true
        case .closed: isClosed = true
        case .uncertain: isUncertain = true
        case .reconciled: isUncertain = false
        case .term(let term): highestTerm = max(highestTerm, term)
        }
    }
}
