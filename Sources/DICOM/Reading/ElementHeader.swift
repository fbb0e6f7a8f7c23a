// SPDX-License-Identifier: Apache-2.0

/// Tag, VR and length of an element as they stand in the bytes.
struct ElementHeader {
    static let undefinedLength: UInt32 = 0xFFFF_FFFF

    var tag: Tag
    var vr: VR
    var ambiguity: VRAmbiguity
    var length: UInt32
    var byteCount: Int

    var hasUndefinedLength: Bool { self.length == Self.undefinedLength }

    /// Reads the header at `offset`; the caller has checked that 8 bytes are there.
    ///
    /// Nil when there are too few bytes for it.
    @inline(__always)
    static func read(_ bytes: RawSpan, at offset: Int, end: Int, encoding: DataSetEncoding) -> ElementHeader? {
        let word = bytes.word(at: offset)
        if encoding.isBigEndian {
            let big = word.byteSwapped
            let tag = Tag(rawValue: UInt32(truncatingIfNeeded: big >> 32))
            let vr = VR(rawValue: UInt16(truncatingIfNeeded: big >> 16))
            guard encoding.isExplicitVR, tag.group != 0xFFFE else {
                return self.implicit(tag, UInt32(truncatingIfNeeded: big))
            }
            guard vr.hasLongLength else {
                guard vr.isTwoCapitalLetters else { return self.implicit(tag, UInt32(truncatingIfNeeded: big)) }
                return self.init(
                    tag: tag,
                    vr: vr,
                    ambiguity: .none,
                    length: UInt32(truncatingIfNeeded: big & 0xFFFF),
                    byteCount: 8
                )
            }
            guard end - offset >= 12 else { return nil }
            let length = bytes.halfWord(at: offset + 8).byteSwapped
            return self.init(tag: tag, vr: vr, ambiguity: .none, length: length, byteCount: 12)
        }
        let tag = Tag(rawValue: UInt32(truncatingIfNeeded: word << 16 & 0xFFFF_0000 | word >> 16 & 0xFFFF))
        let length = UInt32(truncatingIfNeeded: word >> 32)
        guard encoding.isExplicitVR, tag.group != 0xFFFE else { return self.implicit(tag, length) }
        let vr = VR(rawValue: UInt16(truncatingIfNeeded: length).byteSwapped)
        guard vr.hasLongLength else {
            guard vr.isTwoCapitalLetters else {
                return self.withoutRepresentation(tag, length, shortLength: length >> 16, room: end - offset - 8)
            }
            return self.init(tag: tag, vr: vr, ambiguity: .none, length: length >> 16, byteCount: 8)
        }
        guard end - offset >= 12 else { return nil }
        return self.init(tag: tag, vr: vr, ambiguity: .none, length: bytes.halfWord(at: offset + 8), byteCount: 12)
    }

    private static func implicit(_ tag: Tag, _ length: UInt32) -> ElementHeader {
        let (vr, ambiguity) = DataDictionary.vr(for: tag)
        return self.init(tag: tag, vr: vr, ambiguity: ambiguity, length: length, byteCount: 8)
    }

    /// An element in explicit VR whose VR is none: written as in implicit VR, or with blanks for the letters.
    private static func withoutRepresentation(
        _ tag: Tag,
        _ length: UInt32,
        shortLength: UInt32,
        room: Int
    ) -> ElementHeader {
        let isImplicit = length == Self.undefinedLength || Int(length) <= room
        return self.implicit(tag, isImplicit || Int(shortLength) > room ? length : shortLength)
    }
}

extension RawSpan {
    /// Eight bytes as a little-endian number; out of bounds traps, so callers check first.
    @inline(__always)
    func word(at offset: Int) -> UInt64 {
        unsafe UInt64(littleEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Four bytes as a little-endian number.
    @inline(__always)
    func halfWord(at offset: Int) -> UInt32 {
        unsafe UInt32(littleEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inline(__always)
    func byte(at offset: Int) -> UInt8 {
        unsafe self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self)
    }

    func isZero(from offset: Int, to end: Int) -> Bool {
        for index in offset..<end where self.byte(at: index) != 0 { return false }
        return true
    }

    /// Tag and length of an item or delimiter; the caller has checked that 8 bytes are there.
    @inline(__always)
    func itemHeader(at offset: Int, isBigEndian: Bool) -> (tag: Tag, length: UInt32) {
        let word = self.word(at: offset)
        if isBigEndian {
            let big = word.byteSwapped
            return (Tag(rawValue: UInt32(truncatingIfNeeded: big >> 32)), UInt32(truncatingIfNeeded: big))
        }
        let tag = UInt32(truncatingIfNeeded: word << 16 & 0xFFFF_0000 | word >> 16 & 0xFFFF)
        return (Tag(rawValue: tag), UInt32(truncatingIfNeeded: word >> 32))
    }
}
