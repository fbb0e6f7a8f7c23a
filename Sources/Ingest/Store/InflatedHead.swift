// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// The first bytes of what a deflated data set inflates to: its header.
///
/// All of it is inflated once, so that what is stored can be read, but no more than this is kept.
struct InflatedHead: Sendable {
    let bytes: ByteBuffer
    /// Whether `bytes` are all there is.
    let isWhole: Bool

    /// Inflates the pieces that `next` gives, until it gives none; takes a second for a gigabyte.
    ///
    /// Throws `.malformed` for what is no deflate stream, ends too early, or inflates to more than readers take
    /// (`ReadLimits.maximumInflatedByteCount`).
    init(_ next: () throws(StoreFailure) -> ByteBuffer?) throws(StoreFailure) {
        var head = ByteBuffer()
        do {
            let inflater = try Inflater(maximumByteCount: ReadLimits.standard.maximumInflatedByteCount)
            while !inflater.isFinished, let piece = try next() {
                try inflater.inflate(piece) { output in
                    var output = output
                    let room = SpooledSource.maximumHeadByteCount - head.readableBytes
                    if var kept = output.readSlice(length: min(room, output.readableBytes)) { head.writeBuffer(&kept) }
                }
            }
            try inflater.finish()
            self.isWhole = inflater.byteCount == head.readableBytes
        } catch let error as StoreFailure {
            throw error
        } catch {
            throw StoreFailure(.malformed, "\(error)")
        }
        self.bytes = head
    }

    /// The head of a data set that lies in memory.
    init(of dataSet: ByteBuffer) throws(StoreFailure) {
        var rest: ByteBuffer? = dataSet
        try self.init { () throws(StoreFailure) in
            defer { rest = nil }
            return rest
        }
    }
}
