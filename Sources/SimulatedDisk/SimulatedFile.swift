// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOConcurrencyHelpers
import NIOCore
import SegmentStore

/// An open file of a simulated disk; one that was removed while it was open lives on unseen.
final class SimulatedFile: DiskFile {
    private let disk: SimulatedDisk
    private let path: String
    private let content: FileContent

    init(disk: SimulatedDisk, path: String, content: FileContent) {
        self.disk = disk
        self.path = path
        self.content = content
    }

    private func locked<Value>(_ body: (inout SimulatedDisk.State, FileContent) -> Value) -> Value {
        disk.state.withLockedValue { body(&$0, content) }
    }

    func byteCount() throws(DiskError) -> UInt64 { locked { UInt64($1.visible.count) } }

    func read(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer {
        try read(at: offset, byteCount: byteCount) { $0.visible }
    }

    func readPastCache(at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer {
        try read(at: offset, byteCount: byteCount) { $0.uncached }
    }

    private func read(
        at offset: UInt64,
        byteCount: Int,
        _ source: (FileContent) -> [UInt8]
    ) throws(DiskError) -> ByteBuffer {
        _ = try disk.begin(.read, path, offset..<(offset + UInt64(byteCount)))
        let bytes: ByteBuffer? = locked { _, content in
            let all = source(content)
            let start = min(Int(offset), all.count)
            let range = start..<min(start + byteCount, all.count)
            if content.badRanges.contains(where: { $0.overlaps(range) }) { return nil }
            return ByteBuffer(bytes: all[range])
        }
        guard let bytes else { throw DiskError("pread", number: EIO) }
        return bytes
    }

    func write(_ buffers: [ByteBuffer], at offset: UInt64) throws(DiskError) {
        let bytes = buffers.flatMap { Array($0.readableBytesView) }
        let end = Int(offset) + bytes.count
        let fault = try disk.begin(.write, path, offset..<UInt64(end))
        let number: Int32? = locked { state, content in
            switch fault {
            case .crash:
                // A process that dies in the middle of a write has written its front.
                content.write(Array(bytes.prefix(bytes.count / 2)), at: Int(offset))
                return EIO
            case .lost:
                content.write(bytes, at: Int(offset))
                content.pending.removeLast()
            case .misdirected(let path, let offset):
                state.names.files[path]?.writeDurably(bytes, at: Int(offset))
            case .error, nil:
                let growth = max(0, end - content.usedByteCount)
                guard state.capacity == nil || UInt64(growth) <= state.freeByteCount else { return ENOSPC }
                content.write(bytes, at: Int(offset))
            }
            return nil
        }
        if let number { throw DiskError("pwritev", number: number) }
    }

    func sync() throws(DiskError) {
        disk.state.withLockedValue { $0.beforeSync }?()
        do throws(DiskError) {
            if case .crash = try disk.begin(.sync, path) { throw DiskError("fdatasync", number: EIO) }
        } catch {
            // After a failed sync the pages count as clean, and what they hold may never reach the disk.
            if !disk.isCrashed {
                locked { state, content in
                    content.failSync(sectorByteCount: state.sectorByteCount, using: &state.generator)
                }
            }
            throw error
        }
        locked { $1.sync() }
    }

    func allocate(_ range: Range<UInt64>) throws(DiskError) {
        if case .crash = try disk.begin(.allocate, path, range) { throw DiskError("fallocate", number: EIO) }
        let isFull = locked { state, content in
            let missing = Int(range.upperBound) - content.visible.count
            guard missing > 0 else { return false }
            if state.capacity != nil, UInt64(missing) > state.freeByteCount { return true }
            content.visible += [UInt8](repeating: 0, count: missing)
            return false
        }
        if isFull { throw DiskError("fallocate", number: ENOSPC) }
    }

    func cutReserve(at byteCount: UInt64) throws(DiskError) {
        if case .crash = try disk.begin(.cutReserve, path) { throw DiskError("ftruncate", number: EIO) }
        locked { _, content in
            let excess = content.visible.count - Int(byteCount)
            if excess > 0 { content.visible.removeLast(excess) }
        }
    }

    func releaseUnwritten(from offset: UInt64) { locked { $1.releasedFrom = Int(offset) } }

    func nextData(at offset: UInt64) -> UInt64? {
        locked { _, content in
            guard offset < content.visible.count else { return nil }
            return content.visible[Int(offset)...].firstIndex { $0 != 0 }.map { UInt64($0) & ~4095 }
        }
    }

    func dropCache() { locked { $1.dropCache() } }
}
