// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Cuts messages into P-DATA-TF PDUs of the length that the peer takes.
public struct MessageFragmenter: Sendable {
    /// The most data bytes in one PDU; even, so that every fragment but the last of an odd data set is.
    public let fragmentByteCount: Int

    /// Plans for a peer's maximum PDU length.
    ///
    /// The peer's maximum is that of its user information: bytes of a PDU after its 6-byte header, 0 for no
    /// limit, nil where the peer named none (then 16 KiB, which every implementation takes). `cap` is our own limit
    /// on the same count, also where the peer has none.
    public init(peerMaximumLength: UInt32?, cap: Int = 128 * 1024) throws(DIMSEError) {
        let claimed = Int(peerMaximumLength ?? 16 * 1024)
        let limit = claimed == 0 ? cap : min(claimed, cap)
        let room = (limit - PresentationDataValue.headerByteCount) & ~1
        guard room >= 2 else {
            throw DIMSEError(
                .unusableMaximumLength,
                "a maximum PDU length of \(claimed) bytes leaves no room for data"
            )
        }
        self.fragmentByteCount = room
    }

    /// Appends a command set, in as many PDUs as it needs.
    public func write(_ command: CommandSet, contextID: UInt8, into buffer: inout ByteBuffer) {
        self.write(encoded: command.encoded(), contextID: contextID, into: &buffer)
    }

    /// Appends a command set that has been encoded, in as many PDUs as it needs.
    public func write(encoded command: ByteBuffer, contextID: UInt8, into buffer: inout ByteBuffer) {
        var bytes = command
        while let fragment = bytes.readSlice(length: min(bytes.readableBytes, self.fragmentByteCount)),
            fragment.readableBytes > 0
        {
            let isLast = bytes.readableBytes == 0
            Self.writeHeaders(
                contextID: contextID,
                isCommand: true,
                isLast: isLast,
                byteCount: fragment.readableBytes,
                into: &buffer
            )
            buffer.writeImmutableBuffer(fragment)
        }
    }

    /// Takes the next PDU's data from a data set: its headers (12 bytes) and a slice, to be written one after
    /// the other without copying.
    ///
    /// Nil when nothing is left.
    ///
    /// `isLast` says whether `dataSet` ends with the bytes at hand. Where it does not, what may be the last fragment
    /// is held back.
    public func nextFragment(
        from dataSet: inout ByteBuffer,
        contextID: UInt8,
        isLast: Bool
    ) -> (headers: ByteBuffer, data: ByteBuffer)? {
        let available = dataSet.readableBytes
        guard self.hasFragment(in: dataSet, isLast: isLast),
            let data = dataSet.readSlice(length: min(available, self.fragmentByteCount))
        else { return nil }
        var headers = ByteBuffer()
        Self.writeHeaders(
            contextID: contextID,
            isCommand: false,
            isLast: isLast && dataSet.readableBytes == 0,
            byteCount: data.readableBytes,
            into: &headers
        )
        return (headers, data)
    }

    /// Whether `nextFragment` has one.
    public func hasFragment(in dataSet: ByteBuffer, isLast: Bool) -> Bool {
        isLast ? dataSet.readableBytes > 0 : dataSet.readableBytes > self.fragmentByteCount
    }

    private static func writeHeaders(
        contextID: UInt8,
        isCommand: Bool,
        isLast: Bool,
        byteCount: Int,
        into buffer: inout ByteBuffer
    ) {
        // PS3.8 section 9.3.5 and annex E.2: PDU type, reserved, PDU length; item length, context id, control.
        buffer.writeMultipleIntegers(
            PDUType.data.rawValue,
            UInt8(0),
            UInt32(byteCount + PresentationDataValue.headerByteCount),
            UInt32(byteCount + 2),
            contextID,
            UInt8((isCommand ? 1 : 0) | (isLast ? 2 : 0))
        )
    }
}
