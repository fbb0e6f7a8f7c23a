// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Checks a value of characters against its VR (PS3.5 table 6.2-1).
struct TextCheck {
    let vr: VR
    let characterSet: SpecificCharacterSet

    /// Returns the number of values.
    func run(_ buffer: ByteBuffer, _ add: (CheckRule, String) -> Void) -> Int {
        let bytes = self.withoutPadding(buffer, add)
        self.checkControlCharacters(bytes, add)
        if self.vr.usesSpecificCharacterSet {
            self.checkDecoding(bytes, add)
            let values = self.characterSet.decodeValues(bytes, vr: self.vr)
            for value in values { self.checkCharacters(of: value, add) }
            return values.count
        }
        if bytes.readableBytesView.contains(where: { $0 >= 0x7F }) {
            add(.characters, "\(self.vr) has bytes beyond the default repertoire")
        }
        guard self.vr != .ur else {
            if bytes.readableBytesView.contains(0x20) { add(.characters, "UR has spaces in it") }
            return 1
        }
        if self.vr == .ae, bytes.readableBytes == 0 { add(.characters, "AE has nothing but spaces") }
        let values = bytes.readableBytesView.split(separator: 0x5C, omittingEmptySubsequences: false)
        for value in values { self.check(Array(value), add) }
        return values.count
    }

    /// Reports wrong padding and takes all of it away.
    private func withoutPadding(_ buffer: ByteBuffer, _ add: (CheckRule, String) -> Void) -> ByteBuffer {
        var bytes = buffer
        var nulCount = 0
        var spaceCount = 0
        while let last = bytes.readableBytesView.last, last == 0 || last == 0x20 {
            if last == 0 { nulCount += 1 } else { spaceCount += 1 }
            bytes.moveWriterIndex(to: bytes.writerIndex - 1)
        }
        if self.vr == .ui {
            if spaceCount > 0 { add(.padding, "UI is padded with a space instead of NUL") }
            if nulCount > 1 { add(.padding, "UI is padded with \(nulCount) NULs; one is enough") }
        } else if nulCount > 0 {
            add(.padding, "\(self.vr) is padded with NUL instead of a space")
        }
        return bytes
    }

    private func checkControlCharacters(_ bytes: ByteBuffer, _ add: (CheckRule, String) -> Void) {
        let allowsLines = self.vr == .st || self.vr == .lt || self.vr == .ut
        let hasBad = bytes.readableBytesView.contains { byte in
            guard byte < 0x20 else { return false }
            switch byte {
            case 0x1B: return !self.vr.usesSpecificCharacterSet
            case 0x09, 0x0A, 0x0C, 0x0D: return !allowsLines
            default: return true
            }
        }
        if hasBad { add(.characters, "\(self.vr) has control characters that it must not have") }
    }

    // MARK: - Text of a character set

    private func checkDecoding(_ bytes: ByteBuffer, _ add: (CheckRule, String) -> Void) {
        switch self.characterSet.fault(in: bytes, vr: self.vr) {
        case nil: break
        case .undeclaredBytes:
            add(.undecodableText, "the text has bytes beyond ASCII, but no Specific Character Set says what they are")
        case .undeclaredEscape:
            add(.undecodableText, "the text has an escape sequence that Specific Character Set does not announce")
        case .invalidBytes:
            add(.undecodableText, "the text has bytes that are no characters in its Specific Character Set")
        }
    }

    private func checkCharacters(of value: String, _ add: (CheckRule, String) -> Void) {
        if self.vr == .pn {
            self.checkPersonName(value, add)
            return
        }
        let limit: Int
        switch self.vr {
        case .lo: limit = 64
        case .sh: limit = 16
        case .st: limit = 1024
        case .lt: limit = 10240
        default: return
        }
        let count = value.unicodeScalars.count
        if count > limit { add(.valueLength, "\(self.vr) has \(count) characters; \(limit) are allowed") }
    }

    /// PS3.5 section 6.2.1.
    private func checkPersonName(_ value: String, _ add: (CheckRule, String) -> Void) {
        let groups = value.split(separator: "=", omittingEmptySubsequences: false)
        if groups.count > 3 { add(.valueSyntax, "the name has \(groups.count) component groups; 3 are allowed") }
        for group in groups {
            let components = group.count { $0 == "^" } + 1
            if components > 5 { add(.valueSyntax, "a name has \(components) components in a group; 5 are allowed") }
            let count = group.unicodeScalars.count
            if count > 64 { add(.valueLength, "a component group has \(count) characters; 64 are allowed") }
        }
    }

    // MARK: - Text of the default repertoire

    private func check(_ bytes: [UInt8], _ add: (CheckRule, String) -> Void) {
        var value = bytes[...]
        while value.last == 0x20 || value.last == 0 { value.removeLast() }
        while value.first == 0x20 { value.removeFirst() }
        guard !value.isEmpty else {
            if self.vr == .ae, !bytes.isEmpty { add(.characters, "AE has nothing but spaces") }
            return
        }
        let text = String(decoding: value, as: UTF8.self)
        switch self.vr {
        case .ui: self.checkUID(text, add)
        case .cs:
            self.checkLength(value.count, 16, add)
            let isGood = value.allSatisfy {
                (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x20 || $0 == 0x5F
            }
            if !isGood { add(.characters, "CS has other characters than capital letters, digits, spaces and _") }
        case .ae: self.checkLength(value.count, 16, add)
        case .as:
            let isGood = value.count == 4 && value.prefix(3).allSatisfy { (0x30...0x39).contains($0) }
            if !isGood || !"DWMY".utf8.contains(value.last ?? 0) {
                add(.valueSyntax, "AS is not three digits and one of D, W, M and Y")
            }
        case .da:
            guard DICOMDate(parsing: text) != nil else {
                add(.valueSyntax, "DA is no date YYYYMMDD")
                return
            }
            if value.count != 8 { add(.valueForm, "DA is in the form of ACR-NEMA, with separators") }
        case .tm:
            guard DICOMTime(parsing: text) != nil else {
                add(.valueSyntax, "TM is no time HHMMSS.FFFFFF")
                return
            }
            if value.contains(0x3A) { add(.valueForm, "TM is in the form of ACR-NEMA, with colons") }
        case .dt:
            if DICOMDateTime(parsing: text) == nil {
                add(.valueSyntax, "DT is no date and time YYYYMMDDHHMMSS.FFFFFF&ZZXX")
            }
        case .ds:
            if NumberText.decimal(text) == nil {
                add(.valueSyntax, "DS is no decimal number")
            } else {
                self.checkLength(value.count, 16, add)
            }
        case .is:
            let digits = value.first == 0x2B || value.first == 0x2D ? value.dropFirst() : value
            guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
                add(.valueSyntax, "IS is no integer")
                return
            }
            guard NumberText.integer(text).flatMap({ Int32(exactly: $0) }) != nil else {
                add(.valueSyntax, "IS is beyond 32 bits")
                return
            }
            self.checkLength(value.count, 12, add)
        default: break
        }
    }

    private func checkLength(_ count: Int, _ limit: Int, _ add: (CheckRule, String) -> Void) {
        if count > limit { add(.valueLength, "\(self.vr) has \(count) characters; \(limit) are allowed") }
    }

    private func checkUID(_ text: String, _ add: (CheckRule, String) -> Void) {
        if text.utf8.count > UID.maximumByteCount {
            add(.uid, "the UID has \(text.utf8.count) bytes; 64 are allowed")
        }
        guard text.utf8.allSatisfy({ $0 == 0x2E || (0x30...0x39).contains($0) }) else {
            add(.uid, "the UID has other characters than digits and dots")
            return
        }
        let components = text.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
        if components.contains(where: \.isEmpty) { add(.uid, "the UID has an empty component") }
        if components.contains(where: { $0.count > 1 && $0.first == 0x30 }) {
            add(.valueForm, "a component of the UID begins with 0")
        }
    }
}
