// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension SpecificCharacterSet {
    /// Why text can't be decoded without guessing.
    enum Fault {
        /// Bytes above 7FH where only ISO-IR 6 holds.
        case undeclaredBytes
        /// An escape sequence to a set that (0008,0005) does not name.
        case undeclaredEscape
        /// Bytes that are no characters of their set.
        case invalidBytes
    }

    /// The first reason found; nil when the text is in order.
    func fault(in buffer: ByteBuffer, vr: VR) -> Fault? {
        if Self.isPlainASCII(buffer) { return nil }
        let bytes = Array(buffer.readableBytesView)
        let initial = self.repertoires.first ?? .ascii
        guard initial.allowsExtensions else {
            if bytes.contains(0x1B) { return .undeclaredEscape }
            if initial == .utf8 { return String(validating: bytes, as: UTF8.self) == nil ? .invalidBytes : nil }
            return self.decode(buffer).unicodeScalars.contains("\u{FFFD}") ? .invalidBytes : nil
        }
        var fault: Fault?
        self.decoder(for: vr).forEachSegment(of: bytes) { segment, active, escape in
            if fault != nil { return }
            switch escape {
            case .none: break
            case .unknown: fault = .undeclaredEscape
            case .designation(let designated):
                if designated != .ascii, !self.repertoires.contains(designated) { fault = .undeclaredEscape }
            }
            if fault == nil { fault = Self.fault(in: segment, active) }
        }
        return fault
    }

    private static func fault(in segment: ArraySlice<UInt8>, _ active: TextDecoder.Active) -> Fault? {
        switch active.g1 {
        case nil: if segment.contains(where: { $0 >= 0x80 }) { return .undeclaredBytes }
        case .latin1, .singleByte:
            // 80H to 9FH are controls that DICOM does not use (PS3.5 section 6.1.3); Windows puts quotes there.
            if segment.contains(where: { (0x80...0x9F).contains($0) }) { return .invalidBytes }
        default: break
        }
        let text = TextDecoder.convert(segment, active)
        return text.unicodeScalars.contains("\u{FFFD}") ? .invalidBytes : nil
    }
}
