// SPDX-License-Identifier: Apache-2.0

extension CalendarDate {
    /// The value of a DICOM date: `YYYYMMDD`, or `YYYY.MM.DD` as ACR-NEMA wrote it (PS3.5 §6.2).
    ///
    /// Padding of spaces and NUL at both ends is passed over. Nil for everything else: an empty value, a range, a part
    /// of a date, and a day that the calendar does not have, as `00000000`. Whatever is nil here is a date that is not
    /// known.
    public init?(dicom text: String) {
        var digits: [Int] = []
        var separators: [Int] = []
        let padding: Set<UInt8> = [0x20, 0x00]
        guard let first = text.utf8.firstIndex(where: { !padding.contains($0) }),
            let last = text.utf8.lastIndex(where: { !padding.contains($0) })
        else { return nil }
        let content = text.utf8[first...last]
        guard content.count <= 10 else { return nil }
        for (offset, byte) in content.enumerated() {
            switch byte {
            case 0x30...0x39: digits.append(Int(byte) - 0x30)
            case 0x2E: separators.append(offset)
            default: return nil
            }
        }
        guard digits.count == 8, separators.isEmpty || separators == [4, 7] else { return nil }
        let number = digits.reduce(0) { $0 * 10 + $1 }
        self.init(year: number / 10_000, month: number / 100 % 100, day: number % 100)
    }
}
