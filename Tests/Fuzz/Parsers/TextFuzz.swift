// SPDX-License-Identifier: Apache-2.0

import DICOM
import FuzzHarness
import NIOCore

/// Text under every repertoire and combination of them, and the values that are made of text.
///
/// Input: the byte count of Specific Character Set, that value, one byte for the VR, the text.
enum TextFuzz {
    static let target = FuzzTarget("text", maximumByteCount: 512, seeds: seeds, run: run)

    private static let representations: [VR] = [.pn, .lo, .ut, .cs, .ds, .is, .da, .tm, .dt, .ui, .as, .ae]

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let count = Int(bytes.takeByte())
        var dataSet = DataSet()
        if let term = bytes.readSlice(length: min(count, bytes.readableBytes)), term.readableBytes > 0 {
            dataSet.set(DataElement(tag: .specificCharacterSet, vr: .cs, value: .bytes(term)))
        }
        let vr = self.representations[Int(bytes.takeByte()) % self.representations.count]
        let element = DataElement(tag: .patientName, vr: vr, value: .bytes(bytes))
        for text in dataSet.strings(of: element) {
            switch vr {
            case .pn: _ = PersonName(parsing: text).alphabetic
            case .da: _ = DICOMDate(parsing: text)?.description
            case .tm: _ = DICOMTime(parsing: text)?.description
            case .dt: _ = DICOMDateTime(parsing: text)?.offsetMinutes
            case .ui: _ = try? UID(lenient: text)
            default: break
            }
        }
        if vr == .ds || vr == .is {
            _ = dataSet.integers(of: element)
            _ = dataSet.decimals(of: element)
        }
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let terms = [
            "", "ISO_IR 100", "ISO_IR 192", "GB18030", "GBK", "ISO_IR 13", "\\ISO 2022 IR 87", "\\ISO 2022 IR 149",
            "\\ISO 2022 IR 58", "ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159", "ISO_IR 166", "ISO-IR 144",
        ]
        let texts = [
            "596164615E5461726F753D1B24423B33451B28425E1B244242404F3A1B2842", "1B2429432EC8AB5E", "C2D4B2B05E41",
            "E5B1B1E794B05E", "312E325C2D33", "3230323630313031",
        ]
        return terms.flatMap { term in
            texts.enumerated().map { index, text in
                var seed = ByteBuffer(integer: UInt8(term.utf8.count))
                seed.writeString(term)
                seed.writeInteger(UInt8(index))
                seed.writeImmutableBuffer(ByteBuffer(hexadecimalDigitsOf: text))
                return seed
            }
        }
    }
}
