// SPDX-License-Identifier: Apache-2.0

/// The bytes of a file: what reads see (the page cache) and what would survive a loss of power, kept apart.
// Safety: touched only while the lock of the disk that it belongs to is held.
final class FileContent: @unchecked Sendable {
    var visible: [UInt8] = []
    var durable: [UInt8] = []
    /// Writes that a sync would bring to the disk.
    var pending: [(offset: Int, bytes: [UInt8])] = []
    /// Ranges that the disk can't read.
    var badRanges: [Range<Int>] = []
    /// From where reserved space was given back.
    var releasedFrom: Int?

    init() {}

    init(durable bytes: [UInt8], badRanges: [Range<Int>]) {
        self.visible = bytes
        self.durable = bytes
        self.badRanges = badRanges
    }

    /// The same bytes in every respect, for another disk.
    func copy() -> FileContent {
        let copy = FileContent()
        copy.visible = visible
        copy.durable = durable
        copy.pending = pending
        copy.badRanges = badRanges
        copy.releasedFrom = releasedFrom
        return copy
    }

    /// What the file takes of the disk.
    var usedByteCount: Int { min(visible.count, releasedFrom ?? .max) }

    func write(_ bytes: [UInt8], at offset: Int) {
        Self.store(bytes[...], at: offset, in: &visible)
        pending.append((offset, bytes))
        let range = offset..<(offset + bytes.count)
        badRanges.removeAll { range.contains($0.lowerBound) && $0.upperBound <= range.upperBound }
        if let released = releasedFrom { releasedFrom = max(released, range.upperBound) }
    }

    /// Puts bytes onto the disk alone: what is in the page cache hides them until it is dropped.
    func writeDurably(_ bytes: [UInt8], at offset: Int) {
        Self.store(bytes[...], at: offset, in: &durable)
        if visible.count < durable.count { visible += durable[visible.count...] }
    }

    func sync() {
        for write in pending { Self.store(write.bytes[...], at: write.offset, in: &durable) }
        if durable.count < visible.count {
            durable += [UInt8](repeating: 0, count: visible.count - durable.count)
        } else {
            durable.removeLast(durable.count - visible.count)
        }
        pending = []
    }

    /// A sync that failed: any sectors reached the disk, and none of the others ever will.
    func failSync(sectorByteCount: Int, using generator: inout SeededGenerator) {
        durable = surviving(sectorByteCount: sectorByteCount, percent: 50, using: &generator)
        pending = []
    }

    /// What a loss of power leaves: what was synced, and of the rest each sector with a chance of `percent` in 100.
    func surviving(
        sectorByteCount: Int,
        percent: Int,
        using generator: inout some RandomNumberGenerator
    ) -> [UInt8] {
        var bytes = durable
        for write in pending {
            var start = 0
            while start < write.bytes.count {
                // A sector of the disk, not of the write.
                let end = min(write.bytes.count, start + sectorByteCount - (write.offset + start) % sectorByteCount)
                if Int.random(in: 0..<100, using: &generator) < percent {
                    Self.store(write.bytes[start..<end], at: write.offset + start, in: &bytes)
                }
                start = end
            }
        }
        return bytes
    }

    /// What the disk has, and writes that are still on their way to it.
    var uncached: [UInt8] {
        var bytes = durable
        if bytes.count < visible.count { bytes += [UInt8](repeating: 0, count: visible.count - bytes.count) }
        for write in pending { Self.store(write.bytes[...], at: write.offset, in: &bytes) }
        return bytes
    }

    /// Makes reads see the disk again.
    func dropCache() { visible = uncached }

    private static func store(_ bytes: ArraySlice<UInt8>, at offset: Int, in target: inout [UInt8]) {
        let end = offset + bytes.count
        if target.count < end { target += [UInt8](repeating: 0, count: end - target.count) }
        target.replaceSubrange(offset..<end, with: bytes)
    }
}
