// SPDX-License-Identifier: Apache-2.0

import CPlatform
import Glibc
package import NIOConcurrencyHelpers
package import NIOCore

/// Writes whole blocks past the page cache, and everything else through it (docs/decisions/0008-writes-past-the-page-cache.md).
///
/// One memory is filled and written again and again, where the page cache would take fresh pages for every byte
/// written. Where the file system can't do that, all goes through the cache.
package final class DirectWriting: Sendable {
    /// Bytes filled and written at a time.
    private static let stagingByteCount = 8 << 20
    /// What offsets, lengths and memory are multiples of: enough for every disk in use.
    package static let alignment = 4096

    private let idle = NIOLockedValueBox<[Staging]>([])
    private let isUnsupported = NIOLockedValueBox(false)

    package init() {}

    /// Writes all of `buffers`, one behind the other, at `offset` of the file open as `descriptor`; 0 or an errno value.
    ///
    /// `known` is the same file open past the page cache, or where to keep it.
    package func write(
        _ buffers: [ByteBuffer],
        at offset: UInt64,
        descriptor: CInt,
        direct known: NIOLockedValueBox<Descriptor?>
    ) -> CInt {
        let byteCount = buffers.reduce(0) { $0 + $1.readableBytes }
        let isDirect = accepts(byteCount: byteCount, at: offset)
        return BufferVectors.with(buffers) { vectors in
            if isDirect,
                let outcome = write(
                    vectors,
                    byteCount: byteCount,
                    at: off_t(offset),
                    descriptor: descriptor,
                    direct: known
                )
            {
                return outcome
            }
            return BufferVectors.writeAll(&vectors, at: off_t(offset), descriptor: descriptor)
        }
    }

    /// Whether a write at `offset` can go past the page cache.
    private func accepts(byteCount: Int, at offset: UInt64) -> Bool {
        byteCount > 0 && byteCount.isMultiple(of: Self.alignment) && offset.isMultiple(of: UInt64(Self.alignment))
            && !isUnsupported.withLockedValue { $0 }
    }

    /// A file open past the page cache.
    package final class Descriptor: Sendable {
        fileprivate let number: CInt

        fileprivate init(_ number: CInt) { self.number = number }

        deinit { close(number) }
    }

    /// Writes all of `vectors`, `byteCount` bytes in total, at `offset` of the file open as `descriptor`.
    ///
    /// Returns 0, an errno value, or nil when nothing was written because the file system can't.
    private func write(
        _ vectors: [iovec],
        byteCount: Int,
        at offset: off_t,
        descriptor: CInt,
        direct known: NIOLockedValueBox<Descriptor?>
    ) -> CInt? {
        guard let direct = open(descriptor, known) else { return nil }
        guard let staging = idle.withLockedValue({ $0.popLast() }) ?? Staging(byteCount: Self.stagingByteCount)
        else { return nil }
        defer { idle.withLockedValue { if $0.count < 2 { $0.append(staging) } } }

        var source = VectorReader(vectors)
        var done = 0
        while done < byteCount {
            let count = min(Self.stagingByteCount, byteCount - done)
            source.read(count, into: staging.start)
            let failure = writeAll(staging.start, count, at: offset + off_t(done), descriptor: direct.number)
            if failure == EINVAL, done == 0 {
                isUnsupported.withLockedValue { $0 = true }
                return nil
            }
            guard failure == 0 else { return failure }
            done += count
        }
        return 0
    }

    private func open(_ descriptor: CInt, _ known: NIOLockedValueBox<Descriptor?>) -> Descriptor? {
        if let direct = known.withLockedValue({ $0 }) { return direct }
        let number = varve_file_open_direct(descriptor)
        guard number >= 0 else {
            // Anything else (no descriptor free) may be better next time.
            if errno == EINVAL { isUnsupported.withLockedValue { $0 = true } }
            return nil
        }
        let direct = Descriptor(number)
        known.withLockedValue { $0 = direct }
        return direct
    }

    private func writeAll(_ start: UnsafeMutableRawPointer, _ count: Int, at offset: off_t, descriptor: CInt) -> CInt {
        var done = 0
        while done < count {
            let written = pwrite(descriptor, start + done, count - done, offset + off_t(done))
            if written < 0 {
                if errno == EINTR { continue }
                return errno
            }
            // A short write leaves a rest that may not begin at a block: the disk is full or failing.
            guard written > 0, written.isMultiple(of: Self.alignment) || written == count - done else { return EIO }
            done += written
        }
        return 0
    }

    /// Memory that begins at a block's alignment, in large pages where there are any: the disk takes them one by one.
    // Safety: the memory belongs to whoever took the value out of `idle`; no two threads have it at once.
    private final class Staging: @unchecked Sendable {
        let start: UnsafeMutableRawPointer

        init?(byteCount: Int) {
            var memory: UnsafeMutableRawPointer?
            guard posix_memalign(&memory, 2 << 20, byteCount) == 0, let memory else { return nil }
            // Without them it works as well.
            _ = madvise(memory, byteCount, MADV_HUGEPAGE)
            self.start = memory
        }

        deinit { free(start) }
    }

    /// Hands out the bytes of several buffers as one stream.
    private struct VectorReader {
        private var rest: ArraySlice<iovec>
        private var used = 0

        init(_ vectors: [iovec]) { self.rest = vectors[...] }

        mutating func read(_ count: Int, into target: UnsafeMutableRawPointer) {
            var done = 0
            while done < count, let vector = rest.first {
                let piece = min(count - done, vector.iov_len - used)
                if let base = vector.iov_base { (target + done).copyMemory(from: base + used, byteCount: piece) }
                done += piece
                used += piece
                if used == vector.iov_len {
                    rest.removeFirst()
                    used = 0
                }
            }
        }
    }
}
