// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Working memory of one codec thread, kept between operations so that a frame costs no page faults.
///
/// Owned by one thread at a time; `CodecPool` gives each of its threads one. Contents mean nothing between calls.
public final class CodecScratch {
    /// A decoded frame, for the proof and for changes of layout.
    let frame = ScratchBuffer()
    /// An encoded stream while it is written, or a mended copy while it is read.
    let stream = ScratchBuffer()
    /// A frame in the layout that the codec wants.
    let layout = ScratchBuffer()

    public init() {}

    /// Gives back what one very large frame took.
    func trim() {
        frame.trim()
        stream.trim()
        layout.trim()
    }
}

/// One block of raw memory that grows and is reused.
final class ScratchBuffer {
    /// What a thread keeps between operations.
    private static let keptByteCount = 64 << 20

    private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    deinit { free(memory.baseAddress) }

    /// A block of exactly `byteCount` bytes with any contents; earlier blocks become invalid.
    func reserve(_ byteCount: Int) throws(CodecError) -> UnsafeMutableRawBufferPointer {
        if memory.count < byteCount {
            free(memory.baseAddress)
            memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            guard let block = malloc(byteCount) else {
                throw CodecError(.outOfMemory, "no memory for a working buffer of \(byteCount) bytes")
            }
            memory = UnsafeMutableRawBufferPointer(start: block, count: byteCount)
        }
        return UnsafeMutableRawBufferPointer(rebasing: memory[..<byteCount])
    }

    /// At least `byteCount` bytes, what was written before kept; nil when there is no memory.
    func grow(to byteCount: Int) -> UnsafeMutableRawBufferPointer? {
        if memory.count < byteCount {
            guard let block = realloc(memory.baseAddress, byteCount) else { return nil }
            memory = UnsafeMutableRawBufferPointer(start: block, count: byteCount)
        }
        return memory
    }

    func trim() {
        guard memory.count > Self.keptByteCount else { return }
        free(memory.baseAddress)
        memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
}
