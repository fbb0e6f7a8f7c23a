// SPDX-License-Identifier: Apache-2.0

import COpenJPEG
import Glibc

/// OpenJPEG's messages during one operation; the first error says what went wrong.
///
/// The object must outlive the codec it listens to.
final class OpenJPEGErrors {
    private(set) var firstMessage = "no reason given"
    private var isEmpty = true

    func listen(to codec: UnsafeMutablePointer<opj_codec_t?>) {
        let handler: opj_msg_callback = { message, context in
            guard let message, let context else { return }
            Unmanaged<OpenJPEGErrors>.fromOpaque(context).takeUnretainedValue().note(String(cString: message))
        }
        opj_set_error_handler(codec, handler, Unmanaged.passUnretained(self).toOpaque())
    }

    private func note(_ message: String) {
        guard isEmpty else { return }
        isEmpty = false
        firstMessage = String(message.prefix(200).filter { !$0.isNewline })
    }
}

/// Encoded bytes in memory, read by OpenJPEG's callbacks; must outlive its stream.
final class MemorySource {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    func makeStream() -> UnsafeMutablePointer<opj_stream_t?>? {
        guard let stream = opj_stream_create(64 << 10, 1) else { return nil }
        opj_stream_set_user_data(stream, Unmanaged.passUnretained(self).toOpaque(), nil)
        opj_stream_set_user_data_length(stream, UInt64(bytes.count))
        opj_stream_set_read_function(stream) { buffer, byteCount, context in
            guard let buffer, let context else { return Int.max }
            return Unmanaged<MemorySource>.fromOpaque(context).takeUnretainedValue().read(buffer, byteCount)
        }
        opj_stream_set_skip_function(stream) { byteCount, context in
            guard let context else { return -1 }
            return Unmanaged<MemorySource>.fromOpaque(context).takeUnretainedValue().skip(byteCount)
        }
        opj_stream_set_seek_function(stream) { position, context in
            guard let context else { return 0 }
            return Unmanaged<MemorySource>.fromOpaque(context).takeUnretainedValue().seek(position)
        }
        return stream
    }

    private func read(_ buffer: UnsafeMutableRawPointer, _ byteCount: Int) -> Int {
        let count = min(byteCount, bytes.count - offset)
        guard count > 0, let base = bytes.baseAddress else { return -1 }
        memcpy(buffer, base + offset, count)
        offset += count
        return count
    }

    private func skip(_ byteCount: Int64) -> Int64 {
        let count = min(byteCount, Int64(bytes.count - offset))
        guard count >= 0 else { return -1 }
        offset += Int(count)
        return count == 0 && byteCount > 0 ? -1 : count
    }

    private func seek(_ position: Int64) -> Int32 {
        guard position >= 0, position <= bytes.count else { return 0 }
        offset = Int(position)
        return 1
    }
}

/// A growing stream of encoded bytes in a thread's scratch buffer, written by OpenJPEG's callbacks.
final class MemorySink {
    private let buffer: ScratchBuffer
    private var offset = 0
    private var count = 0
    private var memory: UnsafeMutableRawBufferPointer

    init(_ buffer: ScratchBuffer) {
        self.buffer = buffer
        memory = buffer.grow(to: 64 << 10) ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    var bytes: UnsafeRawBufferPointer? {
        count > 0 ? UnsafeRawBufferPointer(rebasing: memory[..<count]) : nil
    }

    func makeStream() -> UnsafeMutablePointer<opj_stream_t?>? {
        guard let stream = opj_stream_create(64 << 10, 0) else { return nil }
        opj_stream_set_user_data(stream, Unmanaged.passUnretained(self).toOpaque(), nil)
        opj_stream_set_write_function(stream) { buffer, byteCount, context in
            guard let buffer, let context else { return -1 }
            return Unmanaged<MemorySink>.fromOpaque(context).takeUnretainedValue().write(buffer, byteCount)
        }
        opj_stream_set_skip_function(stream) { byteCount, context in
            guard let context else { return -1 }
            return Unmanaged<MemorySink>.fromOpaque(context).takeUnretainedValue().skip(byteCount)
        }
        opj_stream_set_seek_function(stream) { position, context in
            guard let context else { return 0 }
            return Unmanaged<MemorySink>.fromOpaque(context).takeUnretainedValue().seek(position)
        }
        return stream
    }

    private func write(_ source: UnsafeMutableRawPointer, _ byteCount: Int) -> Int {
        guard byteCount > 0, reserve(offset + byteCount), let base = memory.baseAddress else { return -1 }
        memcpy(base + offset, source, byteCount)
        offset += byteCount
        count = max(count, offset)
        return byteCount
    }

    private func skip(_ byteCount: Int64) -> Int64 {
        guard byteCount >= 0, seek(Int64(offset) + byteCount) == 1 else { return -1 }
        return byteCount
    }

    private func seek(_ position: Int64) -> Int32 {
        guard position >= 0, reserve(Int(position)), let base = memory.baseAddress else { return 0 }
        if Int(position) > count {
            memset(base + count, 0, Int(position) - count)
            count = Int(position)
        }
        offset = Int(position)
        return 1
    }

    private func reserve(_ byteCount: Int) -> Bool {
        if byteCount <= memory.count { return true }
        guard byteCount <= 4 * CodecLimits.maximumFrameByteCount,
            let grown = buffer.grow(to: max(byteCount, memory.count * 2))
        else { return false }
        memory = grown
        return true
    }
}
