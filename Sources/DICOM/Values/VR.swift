// SPDX-License-Identifier: Apache-2.0

/// A value representation (PS3.5 section 6.2): two letters, kept as they were read, known or not.
public struct VR: RawRepresentable, Hashable, Sendable {
    /// The first letter in the upper byte.
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    @inlinable
    init(_ first: Unicode.Scalar, _ second: Unicode.Scalar) {
        self.rawValue = UInt16(UInt8(ascii: first)) << 8 | UInt16(UInt8(ascii: second))
    }

    /// Parses two letters; nil when `code` has another number of bytes.
    public init?(_ code: some StringProtocol) {
        var raw: UInt16 = 0
        var count = 0
        for byte in code.utf8 {
            guard count < 2 else { return nil }
            raw = raw << 8 | UInt16(byte)
            count += 1
        }
        guard count == 2 else { return nil }
        self.rawValue = raw
    }
}

extension VR {
    @inlinable public static var ae: VR { VR("A", "E") }
    @inlinable public static var `as`: VR { VR("A", "S") }
    @inlinable public static var at: VR { VR("A", "T") }
    @inlinable public static var cs: VR { VR("C", "S") }
    @inlinable public static var da: VR { VR("D", "A") }
    @inlinable public static var ds: VR { VR("D", "S") }
    @inlinable public static var dt: VR { VR("D", "T") }
    @inlinable public static var fd: VR { VR("F", "D") }
    @inlinable public static var fl: VR { VR("F", "L") }
    @inlinable public static var `is`: VR { VR("I", "S") }
    @inlinable public static var lo: VR { VR("L", "O") }
    @inlinable public static var lt: VR { VR("L", "T") }
    @inlinable public static var ob: VR { VR("O", "B") }
    @inlinable public static var od: VR { VR("O", "D") }
    @inlinable public static var of: VR { VR("O", "F") }
    @inlinable public static var ol: VR { VR("O", "L") }
    @inlinable public static var ov: VR { VR("O", "V") }
    @inlinable public static var ow: VR { VR("O", "W") }
    @inlinable public static var pn: VR { VR("P", "N") }
    @inlinable public static var sh: VR { VR("S", "H") }
    @inlinable public static var sl: VR { VR("S", "L") }
    @inlinable public static var sq: VR { VR("S", "Q") }
    @inlinable public static var ss: VR { VR("S", "S") }
    @inlinable public static var st: VR { VR("S", "T") }
    @inlinable public static var sv: VR { VR("S", "V") }
    @inlinable public static var tm: VR { VR("T", "M") }
    @inlinable public static var uc: VR { VR("U", "C") }
    @inlinable public static var ui: VR { VR("U", "I") }
    @inlinable public static var ul: VR { VR("U", "L") }
    @inlinable public static var un: VR { VR("U", "N") }
    @inlinable public static var ur: VR { VR("U", "R") }
    @inlinable public static var us: VR { VR("U", "S") }
    @inlinable public static var ut: VR { VR("U", "T") }
    @inlinable public static var uv: VR { VR("U", "V") }
}

extension VR {
    /// True for the 34 representations of PS3.5.
    public var isKnown: Bool {
        switch self {
        case .ae, .as, .at, .cs, .da, .ds, .dt, .fd, .fl, .is, .lo, .lt, .ob, .od, .of, .ol, .ov, .ow, .pn, .sh, .sl,
            .sq, .ss, .st, .sv, .tm, .uc, .ui, .ul, .un, .ur, .us, .ut, .uv:
            true
        default: false
        }
    }

    /// Two capital letters: what a reader takes for an explicit VR, known to it or not.
    @inlinable var isTwoCapitalLetters: Bool {
        let first = self.rawValue >> 8
        let second = self.rawValue & 0xFF
        return first >= 0x41 && first <= 0x5A && second >= 0x41 && second <= 0x5A
    }

    /// Explicit VR encodings give these a 32-bit length after two reserved bytes (PS3.5 table 7.1-1).
    @inlinable public var hasLongLength: Bool {
        switch self {
        case .ob, .od, .of, .ol, .ov, .ow, .sq, .sv, .uc, .un, .ur, .ut, .uv: true
        default: false
        }
    }

    /// Bytes in one number of the value, which is what a change of byte order swaps; 1 for text and bytes.
    public var wordByteCount: Int {
        switch self {
        case .at, .ow, .ss, .us: 2
        case .fl, .of, .ol, .sl, .ul: 4
        case .fd, .od, .ov, .sv, .uv: 8
        default: 1
        }
    }

    /// True for OB, OD, OF, OL, OV, OW and UN: bytes that JSON gives as InlineBinary or BulkDataURI.
    public var isBulk: Bool {
        switch self {
        case .ob, .od, .of, .ol, .ov, .ow, .un: true
        default: false
        }
    }

    /// True for representations whose value is characters.
    public var isText: Bool {
        switch self {
        case .ae, .as, .cs, .da, .ds, .dt, .is, .lo, .lt, .pn, .sh, .st, .tm, .uc, .ui, .ur, .ut: true
        default: false
        }
    }

    /// True for the text whose repertoire Specific Character Set (0008,0005) decides (PS3.5 section 6.1.2.2).
    public var usesSpecificCharacterSet: Bool {
        switch self {
        case .lo, .lt, .pn, .sh, .st, .uc, .ut: true
        default: false
        }
    }

    /// True where a backslash separates values; it is an ordinary character in LT, ST, UT and UR.
    public var allowsMultipleTextValues: Bool {
        switch self {
        case .lt, .st, .ut, .ur: false
        default: self.isText
        }
    }

    /// The byte that makes an odd value even: a space for text, NUL for UI and everything else.
    public var paddingByte: UInt8 {
        self.isText && self != .ui ? 0x20 : 0
    }
}

extension VR: CustomStringConvertible {
    /// The two letters; other bytes are shown as `?`.
    public var description: String {
        let bytes = [UInt8(self.rawValue >> 8), UInt8(self.rawValue & 0xFF)]
        return String(decoding: bytes.map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x3F }, as: UTF8.self)
    }
}
