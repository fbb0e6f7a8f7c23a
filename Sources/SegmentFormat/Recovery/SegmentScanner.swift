// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// Walks a segment that was not sealed (or whose footer is lost) and finds every sound record in it.
///
/// A pure state machine: `next` says what it needs or has found, and what it needs is handed in. Every byte of every
/// record is checked against its CRC32C; the SHA-256 only on demand. Where a record is unsound the scan goes on in
/// steps of the record alignment until it meets a record that names this segment and this offset.
///
/// A batch is written only after the batch before it was synced. So an unsound range is *damage* when a record of a
/// later batch (or the footer) follows it: its own batch had been acknowledged. Otherwise it is a *torn* write that
/// nobody was told about. The scan never asks for anything to be changed.
public struct SegmentScanner: Sendable {
    /// What the scan needs or has found.
    public enum Step: Sendable {
        /// Hand the bytes from `offset` on to `received(_:)`: at most `byteCount`, and fewer only at the file's end.
        ///
        /// Bytes that can't be read are to be given as 0xFF, which no check accepts.
        case read(offset: UInt64, byteCount: Int)
        /// Hand the first offset at or after `offset` that may hold anything but zeros to `receivedData(at:)`.
        case findData(offset: UInt64)
        /// A sound record, padding left out.
        case record(RecordHeader)
        /// The end of the scan; any further step is the same.
        case finished(Result)
    }

    /// What a scan knows at its end.
    public struct Result: Hashable, Sendable {
        /// Where the last sound record ends, its padding included.
        public var end: UInt64
        /// What was written and cannot be read, in order.
        public var unreadable: [UnreadableRange]
        /// The footer, when the segment turned out to be sealed.
        public var footer: SegmentFooter?
    }

    private enum State {
        case atRecord(UInt64)
        case verifying(RecordVerifier)
        case seeking(UInt64)
        case finished
    }

    private let cluster: ClusterID
    private let segment: SegmentID
    private let fileByteCount: UInt64
    private let windowByteCount: Int
    private let includesDigests: Bool
    private var state: State
    private var window = ScanWindow()
    private var pendingRead: (offset: UInt64, byteCount: Int) = (0, 0)
    private var dataOffset: UInt64 = 0
    private var unsoundStart: UInt64?
    private var writtenEnd: UInt64 = 0
    private var result: Result

    /// A scan of the segment's bytes from `start`, where a batch begins, to `fileByteCount`.
    public init(
        cluster: ClusterID,
        segment: SegmentID,
        start: UInt64 = UInt64(SegmentHeader.byteCount),
        fileByteCount: UInt64,
        windowByteCount: Int = 1 << 20,
        includesDigests: Bool = false
    ) {
        self.cluster = cluster
        self.segment = segment
        self.fileByteCount = fileByteCount
        self.windowByteCount = max(windowByteCount, 2 * SegmentLayout.blockByteCount)
        self.includesDigests = includesDigests
        self.state = .atRecord(start)
        self.result = Result(end: start, unreadable: [], footer: nil)
    }

    /// The answer to `read`.
    public mutating func received(_ bytes: ByteBuffer) {
        var bytes = bytes
        // A file that is shorter than it was said to be: the rest is given as what fails every check.
        let missing = pendingRead.byteCount - bytes.readableBytes
        if missing > 0 { bytes.writeRepeatingByte(0xFF, count: missing) }
        window.replace(with: bytes, at: pendingRead.offset)
    }

    /// The answer to `findData`; `nil` when there are only zeros up to the file's end.
    public mutating func receivedData(at offset: UInt64?) {
        guard case .seeking(let position) = state else { return }
        guard let offset, offset < fileByteCount else { return finish() }
        let mask = UInt64(SegmentLayout.recordAlignment) - 1
        let start = max(position, offset & ~mask)
        dataOffset = start
        state = .seeking(start)
    }

    /// Works on until something is needed or found.
    public mutating func next() -> Step {
        while true {
            let step: Step?
            switch state {
            case .atRecord(let offset): step = inspect(at: offset)
            case .verifying(let verifier): step = verify(verifier)
            case .seeking(let offset): step = seek(from: offset)
            case .finished: step = .finished(result)
            }
            if let step { return step }
        }
    }

    // MARK: States

    private mutating func inspect(at offset: UInt64) -> Step? {
        guard offset < fileByteCount, fileByteCount - offset >= UInt64(RecordHeader.byteCount) else {
            finish()
            return nil
        }
        if window.availableByteCount(at: offset) < min(SegmentFooter.blockByteCount, remaining(from: offset)) {
            return read(at: offset, atLeast: SegmentFooter.blockByteCount)
        }
        if let footer = footer(at: offset) {
            result.footer = footer
            markAllDamaged(upTo: offset)
            state = .finished
            return nil
        }
        guard let header = header(at: offset) else {
            beginUnsound(at: offset)
            state = .seeking(offset)
            return nil
        }
        guard header.extent.byteCount <= fileByteCount - offset else {
            beginUnsound(at: offset)
            writtenEnd = fileByteCount
            finish()
            return nil
        }
        state = .verifying(RecordVerifier(header, includesDigest: includesDigests))
        return nil
    }

    private mutating func verify(_ current: RecordVerifier) -> Step? {
        var verifier = current
        while let need = verifier.need {
            let offset = verifier.header.offset + need.offset
            let available = window.availableByteCount(at: offset)
            let byteCount = need.mayBeSplit ? min(available, need.byteCount) : need.byteCount
            guard byteCount > 0, let bytes = window.slice(at: offset, byteCount: byteCount) else {
                state = .verifying(verifier)
                return read(at: offset, atLeast: need.mayBeSplit ? 1 : need.byteCount)
            }
            verifier.received(bytes)
        }
        let header = verifier.header
        let end = header.offset + header.extent.paddedByteCount
        guard verifier.isSound else {
            // The header is sound, so its length can be trusted: what lies inside is this record's and no other's.
            beginUnsound(at: header.offset)
            writtenEnd = max(writtenEnd, min(end, fileByteCount))
            state = .seeking(end)
            return nil
        }
        endUnsound(before: header)
        result.end = end
        state = .atRecord(end)
        return header.type == .padding ? nil : .record(header)
    }

    private mutating func seek(from offset: UInt64) -> Step? {
        var position = offset
        while true {
            guard position < fileByteCount, fileByteCount - position >= UInt64(RecordHeader.byteCount) else {
                finish()
                return nil
            }
            let wanted = min(SegmentFooter.blockByteCount, remaining(from: position))
            guard window.availableByteCount(at: position) >= wanted else {
                state = .seeking(position)
                if dataOffset != position { return .findData(offset: position) }
                return read(at: position, atLeast: wanted)
            }
            if footer(at: position) != nil || header(at: position) != nil {
                state = .atRecord(position)
                return nil
            }
            let end = position + UInt64(SegmentLayout.recordAlignment)
            if !window.isZero(at: position, byteCount: SegmentLayout.recordAlignment) {
                writtenEnd = min(end, fileByteCount)
            }
            position = end
        }
    }

    // MARK: Parts

    private func header(at offset: UInt64) -> RecordHeader? {
        guard window.word(at: offset) == RecordHeader.magic,
            let bytes = window.slice(at: offset, byteCount: RecordHeader.byteCount)
        else { return nil }
        do {
            let header = try RecordHeader(decoding: bytes)
            try header.requirePlace(cluster: cluster, segment: segment, offset: offset)
            return header
        } catch {
            return nil
        }
    }

    private func footer(at offset: UInt64) -> SegmentFooter? {
        guard offset % UInt64(SegmentLayout.blockByteCount) == 0, window.word(at: offset) == SegmentFooter.magic,
            let bytes = window.slice(at: offset, byteCount: SegmentFooter.blockByteCount)
        else { return nil }
        do {
            let footer = try SegmentFooter(decodingBlock: bytes)
            // The copy at the file's end names the offset of the first and so is not taken for it.
            let isHere = footer.cluster == cluster && footer.segment == segment && footer.offset == offset
            return isHere ? footer : nil
        } catch {
            return nil
        }
    }

    private func remaining(from offset: UInt64) -> Int {
        Int(clamping: fileByteCount - min(offset, fileByteCount))
    }

    private mutating func read(at offset: UInt64, atLeast byteCount: Int) -> Step {
        pendingRead = (offset, min(max(byteCount, windowByteCount), remaining(from: offset)))
        return .read(offset: pendingRead.offset, byteCount: pendingRead.byteCount)
    }

    private mutating func beginUnsound(at offset: UInt64) {
        if unsoundStart == nil { unsoundStart = offset }
    }

    private mutating func endUnsound(before header: RecordHeader) {
        if let start = unsoundStart {
            result.unreadable.append(UnreadableRange(range: start..<header.offset, kind: .torn))
            unsoundStart = nil
        }
        // Only the last few ranges can still be torn, and there are few ranges.
        for (index, unreadable) in result.unreadable.enumerated()
        where unreadable.kind == .torn && unreadable.range.lowerBound < header.batchOffset {
            result.unreadable[index] = UnreadableRange(range: unreadable.range, kind: .damaged)
        }
    }

    private mutating func markAllDamaged(upTo offset: UInt64) {
        if let start = unsoundStart, start < offset {
            result.unreadable.append(UnreadableRange(range: start..<offset, kind: .torn))
        }
        unsoundStart = nil
        result.unreadable = result.unreadable.map { UnreadableRange(range: $0.range, kind: .damaged) }
    }

    private mutating func finish() {
        if let start = unsoundStart, writtenEnd > start {
            result.unreadable.append(UnreadableRange(range: start..<writtenEnd, kind: .torn))
        }
        unsoundStart = nil
        state = .finished
    }
}
