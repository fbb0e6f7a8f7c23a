// SPDX-License-Identifier: Apache-2.0

/// Numbers written as DS and IS (PS3.5 section 6.2).
enum NumberText {
    /// An integer with an optional sign.
    static func integer(_ text: String) -> Int? {
        Int(text)
    }

    /// A decimal fraction, with or without exponent; neither hexadecimal nor `nan` nor `inf`, which `Double` takes.
    static func decimal(_ text: String) -> Double? {
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x2B, 0x2D, 0x2E, 0x45, 0x65: continue
            default: return nil
            }
        }
        return Double(text)
    }

    /// The number in the grammar of JSON with all its digits.
    ///
    /// Nil if it is no number, or one a reader with 64-bit floats would not get exactly back: more than 15 digits, or
    /// a large exponent.
    static func json(_ text: String, isInteger: Bool) -> String? {
        var rest = text.utf8[...]
        var result: [UInt8] = []
        if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            if sign == UInt8(ascii: "-") { result.append(sign) }
            rest.removeFirst()
        }
        let whole = self.digits(&rest)
        var fraction: [UInt8] = []
        if !isInteger, rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            fraction = self.digits(&rest)
        }
        guard whole.count + fraction.count > 0 else { return nil }
        var exponent: [UInt8] = []
        if !isInteger, let letter = rest.first, letter | 0x20 == UInt8(ascii: "e") {
            rest.removeFirst()
            if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                exponent.append(sign)
                rest.removeFirst()
            }
            let digits = self.digits(&rest)
            guard !digits.isEmpty, digits.drop(while: { $0 == 0x30 }).count <= 2 else { return nil }
            exponent += digits
        }
        let significant = (whole + fraction).drop { $0 == 0x30 }.count
        guard rest.isEmpty, significant <= 15 else { return nil }
        let leading = whole.drop { $0 == 0x30 }
        result += leading.isEmpty ? [0x30] : Array(leading)
        if !fraction.isEmpty { result += [UInt8(ascii: ".")] + fraction }
        if !exponent.isEmpty { result += [UInt8(ascii: "e")] + exponent }
        return String(decoding: result, as: UTF8.self)
    }

    private static func digits(_ rest: inout Substring.UTF8View) -> [UInt8] {
        let digits = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
        rest = rest[digits.endIndex...]
        return Array(digits)
    }
}
