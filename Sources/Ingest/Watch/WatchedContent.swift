// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Checksums
import DICOM
package import NIOCore

/// Compares an instance that comes back with the digest taken when it was accepted, piece by piece.
///
/// A value. It keeps none of what it is given, but for the elements before Pixel Data where only that has a digest.
package struct WatchedContent: Sendable {
    /// What there is to compare, and the transfer syntax to ask for.
    package enum Expected: Sendable, Hashable {
        /// The whole Part 10 stream, in the transfer syntax in which the instance arrived
        /// (docs/decisions/0009-one-digest-of-what-was-received.md).
        case file(SHA256Digest, transferSyntax: String)
        /// The value of Pixel Data in Explicit VR Little Endian: what arrived in Implicit VR and was compressed is not to be
        /// had as it came.
        case pixelData(SHA256Digest)

        /// Nil when the instance has no digest that what can be fetched could be compared with.
        package init?(_ instance: WatchedInstance) {
            let explicit = TransferSyntax.explicitVRLittleEndian.uid.string
            let received = instance.receivedTransferSyntax
            if received == instance.storedTransferSyntax || received == explicit {
                self = .file(instance.contentDigest, transferSyntax: received)
            } else if let digest = instance.pixelDigest {
                self = .pixelData(digest)
            } else {
                return nil
            }
        }

        package var transferSyntax: String {
            switch self {
            case .file(_, let uid): uid
            case .pixelData: TransferSyntax.explicitVRLittleEndian.uid.string
            }
        }
    }

    /// Bytes before Pixel Data that are kept to find it.
    package static let maximumHeadByteCount = 16 << 20

    private enum State: Sendable {
        /// Everything counts.
        case all
        /// Pixel Data has not been found yet; it is looked for again when there are so many bytes.
        case head(ByteBuffer, nextAttempt: Int)
        /// Within its value.
        case value(left: Int)
        /// Nothing more counts: the value is over, or there is none.
        case done(isWhole: Bool)
        case tooLong
    }

    private let expected: Expected
    private var hasher = SHA256Hasher()
    private var state: State

    package init(_ expected: Expected) {
        self.expected = expected
        switch expected {
        case .file: state = .all
        case .pixelData: state = .head(ByteBuffer(), nextAttempt: 32 << 10)
        }
    }

    /// Adds the next bytes of the stream.
    package mutating func add(_ bytes: ByteBuffer) {
        switch state {
        case .all: hasher.update(bytes)
        case .head(var head, let nextAttempt):
            state = .done(isWhole: false)
            head.writeImmutableBuffer(bytes)
            state = .head(head, nextAttempt: nextAttempt)
            if head.readableBytes >= nextAttempt { look(in: head) }
        case .value(let left):
            let count = min(left, bytes.readableBytes)
            if let part = bytes.getSlice(at: bytes.readerIndex, length: count) { hasher.update(part) }
            state = left == count ? .done(isWhole: true) : .value(left: left - count)
        case .done, .tooLong: break
        }
    }

    /// After the last byte: whether it is what was accepted; nil when that cannot be told.
    package mutating func finish() -> Bool? {
        if case .head(let head, _) = state { look(in: head) }
        switch (expected, state) {
        case (_, .tooLong): return nil
        case (.file(let digest, _), .all), (.pixelData(let digest), .done(isWhole: true)):
            return hasher.digest() == digest
        default: return false
        }
    }

    /// Finds Pixel Data in the beginning of the stream, and takes what is there of its value.
    private mutating func look(in head: ByteBuffer) {
        let location: PixelDataLocation?
        let start: Int
        do throws(DICOMError) {
            start = try Part10.readHeader(head).dataSetOffset
            var dataSet = head
            dataSet.moveReaderIndex(forwardBy: start)
            location = try PixelDataLocation.find(in: dataSet, transferSyntax: .explicitVRLittleEndian)
        } catch {
            if error.code == .truncated { return goOn(with: head) }
            state = .done(isWhole: false)
            return
        }
        guard let location else { return goOn(with: head) }
        guard let byteCount = location.byteCount, start + location.valueOffset <= head.readableBytes else {
            return goOn(with: head)
        }
        state = byteCount > 0 ? .value(left: byteCount) : .done(isWhole: true)
        var rest = head
        rest.moveReaderIndex(forwardBy: start + location.valueOffset)
        add(rest)
    }

    private mutating func goOn(with head: ByteBuffer) {
        state =
            head.readableBytes > Self.maximumHeadByteCount
            ? .tooLong : .head(head, nextAttempt: max(head.readableBytes, 16 << 10) * 2)
    }
}
