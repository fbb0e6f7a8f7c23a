// SPDX-License-Identifier: Apache-2.0

package import NIOCore
import PixelCodecs
import SegmentFormat

/// An instance ready to be sent: a Part 10 stream of known length.
package struct PreparedInstance: Sendable {
    enum Content: Sendable {
        /// In memory, checked.
        case whole([ByteBuffer])
        /// Read from the nodes piece by piece as it is sent.
        case stored(StoredPieces)
        /// Read and decoded frame by frame as it is sent.
        case native(NativePieces)
    }

    package let transferSyntax: String
    /// Bytes of the whole stream.
    package let byteCount: Int
    let content: Content

    init(transferSyntax: String, byteCount: Int, content: Content) {
        self.transferSyntax = transferSyntax
        self.byteCount = byteCount
        self.content = content
    }

    /// Whether all of it is in memory and checked, so that sending it cannot fail on this side.
    var isWhole: Bool {
        if case .whole = content { true } else { false }
    }

    /// Hands the stream's bytes to `write`, in order and as fast as `write` takes them.
    ///
    /// Throws when a piece can't be read, or when what was sent turns out to be damaged: the last piece is then kept
    /// back, so that the receiver never has a whole instance with wrong bytes.
    package func send(_ write: ([ByteBuffer]) async throws -> Void) async throws {
        switch content {
        case .whole(let buffers): try await write(buffers.filter { $0.readableBytes > 0 })
        case .stored(let pieces): try await pieces.send(write)
        case .native(let pieces): try await pieces.send(write)
        }
    }
}

/// A payload too large for memory, as it is stored.
struct StoredPieces: Sendable {
    /// Bytes read at once.
    static let pieceByteCount = 4 << 20

    let instance: StoredInstance
    let records: any RecordReader

    func send(_ write: ([ByteBuffer]) async throws -> Void) async throws {
        for start in stride(from: 0, to: instance.storedByteCount, by: Self.pieceByteCount) {
            let range = start..<min(start + Self.pieceByteCount, instance.storedByteCount)
            let piece = try await records.read(instance.recordID, copies: instance.nodes, range: range)
            guard piece.readableBytes == range.count else {
                throw RetrieveFailure(.damaged, "record \(instance.recordID) is shorter than the catalog says")
            }
            try await write([piece])
        }
    }
}

/// A native form too large for memory: its frames are read and decoded a few at a time.
struct NativePieces: Sendable {
    /// Native bytes, and frames, in work at once.
    static let windowByteCount = 32 << 20
    static let windowFrameCount = 8

    let instance: StoredInstance
    let records: any RecordReader
    let form: NativeForm
    /// Preamble and file meta information.
    let fileMeta: ByteBuffer
    let decoder: FrameDecoder

    func send(_ write: ([ByteBuffer]) async throws -> Void) async throws {
        try await write([fileMeta, form.prefix])
        var check = NativeForm.Check(form, fileMeta: fileMeta)
        var held: [ByteBuffer] = []
        let perWindow = max(
            1,
            min(Self.windowFrameCount, Self.windowByteCount / max(1, form.decoding.format.frameByteCount))
        )
        for start in stride(from: 0, to: form.frames.count, by: perWindow) {
            let window = form.frames[start..<min(start + perWindow, form.frames.count)]
            let frames = try await decoder.decode(try await read(window), as: form.decoding)
            for frame in frames { check.add(frame) }
            // An instance without anything after its frames ends with the last of them: that one has to wait.
            if start + perWindow < form.frames.count || form.suffix.readableBytes > 0 {
                try await write(frames)
            } else {
                held = frames
            }
        }
        guard check.finish() else {
            throw RetrieveFailure(.damaged, "instance \(instance.sopInstanceUID) does not decode to what was received")
        }
        try await write(held + [form.suffix])
    }

    /// Reads the window's frames in one go: they lie side by side.
    private func read(_ window: ArraySlice<FrameLocation>) async throws(RetrieveFailure) -> [ByteBuffer] {
        guard let first = window.first, let last = window.last,
            let range = Self.range(from: first.offset, to: last.offset, last.byteCount, within: instance)
        else { throw RetrieveFailure(.damaged, "record \(instance.recordID) has frames outside of its payload") }
        let bytes = try await records.read(instance.recordID, copies: instance.nodes, range: range)
        return try bytes.frames(window, from: range.lowerBound)
    }

    private static func range(
        from lower: UInt64,
        to upper: UInt64,
        _ byteCount: UInt64,
        within instance: StoredInstance
    ) -> Range<Int>? {
        let limit = UInt64(instance.storedByteCount)
        guard lower <= upper, upper <= limit, byteCount <= limit - upper else { return nil }
        return Int(lower)..<Int(upper + byteCount)
    }
}
