// SPDX-License-Identifier: Apache-2.0

/// Reads the markers and numbers of JPEG and JPEG-LS streams, big endian (ISO 10918-1 annex B); all reads are checked.
protocol MarkerReading {
    /// What the stream is called in errors.
    static var streamName: String { get }
    var bytes: UnsafeRawBufferPointer { get }
    /// Of the next byte to be read.
    var offset: Int { get set }
}

extension MarkerReading {
    mutating func readMarker() throws(CodecError) -> UInt8 {
        guard try readByte() == 0xFF else { throw corrupt("a marker is missing") }
        while true {
            let byte = try readByte()
            if byte != 0xFF { return byte }
        }
    }

    mutating func readByte() throws(CodecError) -> UInt8 {
        guard offset < bytes.count else { throw corrupt("it ends early") }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func readUInt16() throws(CodecError) -> UInt16 {
        let high = try readByte()
        return UInt16(high) << 8 | UInt16(try readByte())
    }

    func corrupt(_ what: String) -> CodecError {
        CodecError(.corruptStream, "a damaged \(Self.streamName) stream: \(what) (byte \(offset) of \(bytes.count))")
    }
}
