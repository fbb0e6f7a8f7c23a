// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Turns the values of one element of the JSON model into its bytes: explicit VR little endian, text in UTF-8.
struct JSONValueEncoder {
    private let vr: VR
    private var bytes = ByteBuffer()
    private(set) var count = 0
    private(set) var isBeyondASCII = false
    private var hasEmptyNumbers = false

    init(vr: VR) {
        self.vr = vr
    }

    var hasContent: Bool { self.bytes.readableBytes > 0 }

    /// `null`: an empty value among others.
    mutating func appendEmpty() {
        self.separate()
        if !self.vr.isText { self.hasEmptyNumbers = true }
    }

    mutating func append(_ text: String) throws(DICOMError) {
        guard !self.vr.isText else {
            self.append(text: text)
            return
        }
        switch self.vr {
        case .at:
            guard let tag = Tag(hexadecimal: text) else {
                throw DICOMError(.invalidValue, "AT has a value that is no tag of eight digits")
            }
            self.separate()
            self.bytes.writeMultipleIntegers(tag.group, tag.element, endianness: .little)
        case .us, .ss, .ul, .sl, .uv, .sv, .fl, .fd: try self.append(number: text)
        default: throw DICOMError(.invalidJSON, "\(self.vr) is given as InlineBinary or BulkDataURI, not as Value")
        }
    }

    mutating func append(number text: String) throws(DICOMError) {
        switch self.vr {
        case .us: try self.append(text, as: UInt16.self)
        case .ss: try self.append(text, as: Int16.self)
        case .ul: try self.append(text, as: UInt32.self)
        case .sl: try self.append(text, as: Int32.self)
        case .uv: try self.append(text, as: UInt64.self)
        case .sv: try self.append(text, as: Int64.self)
        case .fl:
            let value = try Self.float(text) { Float($0) }
            self.separate()
            self.bytes.writeInteger(value.bitPattern, endianness: .little)
        case .fd:
            let value = try Self.float(text) { Double($0) }
            self.separate()
            self.bytes.writeInteger(value.bitPattern, endianness: .little)
        case .is: self.append(text: Self.withoutZeroFraction(text))
        default:
            guard self.vr.isText else {
                throw DICOMError(.invalidJSON, "\(self.vr) has no numbers as values")
            }
            self.append(text: text)
        }
    }

    /// The value field, padded to an even length.
    consuming func finish() throws(DICOMError) -> ByteBuffer {
        if self.hasEmptyNumbers {
            guard self.count == 1 else {
                throw DICOMError(.invalidValue, "\(self.vr) can't have an empty value among others")
            }
            return ByteBuffer()
        }
        if self.bytes.readableBytes % 2 != 0 { self.bytes.writeInteger(self.vr.paddingByte) }
        return self.bytes
    }

    private mutating func separate() {
        if self.count > 0, self.vr.isText { self.bytes.writeInteger(UInt8(ascii: "\\")) }
        self.count += 1
    }

    private mutating func append(text: String) {
        self.separate()
        if text.utf8.allSatisfy({ $0 < 0x80 }) {
            self.bytes.writeString(text)
        } else if !self.vr.usesSpecificCharacterSet, text.unicodeScalars.allSatisfy({ $0.value <= 0xFF }) {
            // Such bytes don't belong there, but where they came from they were one a character.
            self.bytes.writeBytes(text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
        } else {
            self.isBeyondASCII = true
            self.bytes.writeString(text)
        }
    }

    private mutating func append<Number: FixedWidthInteger>(_ text: String, as type: Number.Type) throws(DICOMError) {
        guard let value = Number(Self.withoutZeroFraction(text)) else {
            throw DICOMError(.invalidValue, "\(self.vr) has a value that is no integer of \(Number.bitWidth) bits")
        }
        self.separate()
        self.bytes.writeInteger(value, endianness: .little)
    }

    private static func float<Number: BinaryFloatingPoint>(
        _ text: String,
        _ parse: (String) -> Number?
    ) throws(DICOMError) -> Number {
        switch text {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default: break
        }
        guard NumberText.decimal(text) != nil, let value = parse(text), value.isFinite else {
            throw DICOMError(.invalidValue, "a value is no number that the representation can hold")
        }
        return value
    }

    /// `5.0` as `5`, which some languages can't tell apart.
    private static func withoutZeroFraction(_ text: String) -> String {
        guard let dot = text.utf8.firstIndex(of: UInt8(ascii: ".")), dot > text.startIndex,
            text.utf8[dot...].dropFirst().allSatisfy({ $0 == 0x30 })
        else { return text }
        return String(text[..<dot])
    }
}
