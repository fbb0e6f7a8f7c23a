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
}
