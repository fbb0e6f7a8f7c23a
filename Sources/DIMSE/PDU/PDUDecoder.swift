// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Takes PDUs out of a stream of bytes, whatever pieces they arrive in.
///
/// Owned by one connection. P-DATA-TF is never collected: its fragments are handed on as they
/// arrive, as slices of the input, so a data set is copied once, by whoever keeps it. All other
/// PDUs are collected up to a limit; a claimed length is checked before anything is kept, and
/// memory grows with what arrived, not with what was claimed. After an error the decoder is spent.
public struct PDUDecoder: Sendable {
    /// The longest PDUs a peer may send, without their headers.
    public struct Limits: Sendable, Hashable {
        /// The longest P-DATA-TF PDU: what we told the peer, and a little for those that count headers.
        public var dataByteCount: UInt32
        /// The longest of all other PDUs.
        ///
        /// 128 contexts with 40 transfer syntaxes each are about 180 KB.
        public var controlByteCount: UInt32

        public init(dataByteCount: UInt32 = 1 << 20, controlByteCount: UInt32 = 1 << 20) {
            self.dataByteCount = dataByteCount
            self.controlByteCount = controlByteCount
        }

        /// The limits that go with the maximum length that this side tells its peer (0 for none).
        ///
        /// Some senders count the 6-byte headers of PDU and value into the length that they may use.
        public init(advertisedMaximumLength limit: UInt32) {
            let slack: UInt32 = 12
            self.init(dataByteCount: limit == 0 || limit > .max - slack ? .max : limit + slack)
        }
    }

    /// What was taken from the stream.
    public enum Element: Sendable, Equatable {
        /// A whole PDU; never `.data`.
        case pdu(PDU)
        /// A piece of a P-DATA-TF PDU.
        case fragment(Fragment)
    }

    /// Consecutive bytes of one presentation data value.
    public struct Fragment: Sendable, Equatable {
        public var contextID: UInt8
        public var isCommand: Bool
        /// Whether these bytes end the command set or data set.
        public var isEnd: Bool
        /// A slice of the input: copy it out, do not keep it.
        public var bytes: ByteBuffer

        public init(contextID: UInt8, isCommand: Bool, isEnd: Bool, bytes: ByteBuffer) {
            self.contextID = contextID
            self.isCommand = isCommand
            self.isEnd = isEnd
            self.bytes = bytes
        }
    }

    private enum State {
        case header
        case control(PDUType, byteCount: Int)
        /// Between the values of a P-DATA-TF PDU.
        case data(remaining: Int)
        case value(Value)
        case spent(DIMSEError)
    }

    private struct Value {
        var contextID: UInt8
        var isCommand: Bool
        var isLastFragment: Bool
        var remaining: Int
        var remainingInPDU: Int
    }

    private let limits: Limits
    private var state = State.header
    /// The beginning of a header or control PDU whose end has not arrived.
    private var held = ByteBuffer()

    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Whether the stream stands between two PDUs.
    public var isAtBoundary: Bool {
        if case .header = self.state { self.held.readableBytes == 0 } else { false }
    }

    /// Takes the next element from `input`, or nil when more bytes are needed: then all of `input` was taken.
    public mutating func next(from input: inout ByteBuffer) throws(DIMSEError) -> Element? {
        do throws(DIMSEError) {
            return try self.decode(&input)
        } catch {
            self.state = .spent(error)
            self.held = ByteBuffer()
            throw error
        }
    }

    private mutating func decode(_ input: inout ByteBuffer) throws(DIMSEError) -> Element? {
        while true {
            switch self.state {
            case .header:
                guard let header = self.take(PDU.headerByteCount, from: &input) else { return nil }
                self.state = try self.parseHeader(header)
            case .control(let type, let byteCount):
                guard let body = self.take(byteCount, from: &input) else { return nil }
                self.state = .header
                return .pdu(try PDU.decode(type, body: body))
            case .data(remaining: 0):
                self.state = .header
            case .data(let remaining):
                guard remaining >= PresentationDataValue.headerByteCount else {
                    throw .malformed("a P-DATA-TF PDU ends within the header of a value")
                }
                guard let header = self.take(PresentationDataValue.headerByteCount, from: &input) else { return nil }
                self.state = try Self.parseValueHeader(header, remaining: remaining)
            case .value(var value):
                guard input.readableBytes > 0 || value.remaining == 0 else { return nil }
                let bytes = input.readSlice(length: min(input.readableBytes, value.remaining)) ?? ByteBuffer()
                value.remaining -= bytes.readableBytes
                value.remainingInPDU -= bytes.readableBytes
                let isComplete = value.remaining == 0
                self.state = isComplete ? .data(remaining: value.remainingInPDU) : .value(value)
                return .fragment(
                    Fragment(
                        contextID: value.contextID,
                        isCommand: value.isCommand,
                        isEnd: isComplete && value.isLastFragment,
                        bytes: bytes
                    )
                )
            case .spent(let error):
                throw error
            }
        }
    }

    /// Exactly `byteCount` bytes, once they have arrived.
    private mutating func take(_ byteCount: Int, from input: inout ByteBuffer) -> ByteBuffer? {
        if self.held.readableBytes == 0, let whole = input.readSlice(length: byteCount) {
            return whole
        }
        let missing = byteCount - self.held.readableBytes
        if var piece = input.readSlice(length: min(missing, input.readableBytes)) {
            self.held.writeBuffer(&piece)
        }
        guard self.held.readableBytes == byteCount else { return nil }
        let whole = self.held
        self.held = ByteBuffer()
        return whole
    }

    private func parseHeader(_ header: ByteBuffer) throws(DIMSEError) -> State {
        var header = header
        guard let (typeByte, second, length) = header.readMultipleIntegers(as: (UInt8, UInt8, UInt32).self) else {
            preconditionFailure("a header of 6 bytes was taken")
        }
        guard let type = PDUType(rawValue: typeByte) else {
            throw Self.unrecognized(typeByte, second, length)
        }
        let limit = type == .data ? self.limits.dataByteCount : self.limits.controlByteCount
        guard length <= limit else {
            throw DIMSEError(
                .lengthOverLimit,
                "a PDU of type \(typeByte) claims \(length) bytes; the limit is \(limit)"
            )
        }
        guard type == .data else { return .control(type, byteCount: Int(length)) }
        guard length > 0 else { throw .malformed("a P-DATA-TF PDU without a value") }
        return .data(remaining: Int(length))
    }

    private static func parseValueHeader(_ header: ByteBuffer, remaining: Int) throws(DIMSEError) -> State {
        var header = header
        guard let (length, contextID, control) = header.readMultipleIntegers(as: (UInt32, UInt8, UInt8).self) else {
            preconditionFailure("a header of 6 bytes was taken")
        }
        // The length counts the context id and the message control header.
        let afterHeader = remaining - PresentationDataValue.headerByteCount
        guard length >= 2, Int(length) - 2 <= afterHeader else {
            throw .malformed("a value claims \(length) bytes where its PDU has \(remaining - 4)")
        }
        return .value(
            Value(
                contextID: contextID,
                isCommand: control & 1 != 0,
                isLastFragment: control & 2 != 0,
                remaining: Int(length) - 2,
                remainingInPDU: afterHeader
            )
        )
    }

    /// Names the protocol where the first bytes betray it.
    @inline(never)
    private static func unrecognized(_ type: UInt8, _ second: UInt8, _ length: UInt32) -> DIMSEError {
        // A TLS record: handshake (16H), major version 3.
        if type == 0x16, second == 0x03 {
            return DIMSEError(
                .looksLikeTLS,
                "this looks like TLS, but the port speaks plain DICOM: turn TLS off in the sender or use the TLS port"
            )
        }
        let start = UInt32(type) << 24 | UInt32(second) << 16 | length >> 16
        let methods: [StaticString] = ["GET ", "POST", "PUT ", "HEAD", "OPTI", "DELE", "PATC"]
        for method in methods where method.description.utf8.reduce(0, { $0 << 8 | UInt32($1) }) == start {
            return DIMSEError(.looksLikeHTTP, "this looks like HTTP, but the port speaks DICOM: use the HTTP port")
        }
        return DIMSEError(.unrecognizedPDU, "the PDU type \(type) does not exist")
    }
}
