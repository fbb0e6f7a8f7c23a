// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// Swift Testing has a `Tag` too; here it is always the element's.
typealias Tag = DICOM.Tag

/// Builds data sets byte by byte, so that tests do not rely on the writer they test.
struct Bytes {
    var buffer = ByteBuffer()
    var isBigEndian = false
    private var order: Endianness { self.isBigEndian ? .big : .little }

    init(isBigEndian: Bool = false) {
        self.isBigEndian = isBigEndian
    }

    func tag(_ tag: Tag) -> Bytes {
        var copy = self
        copy.buffer.writeInteger(tag.group, endianness: self.order)
        copy.buffer.writeInteger(tag.element, endianness: self.order)
        return copy
    }

    func raw(_ bytes: [UInt8]) -> Bytes {
        var copy = self
        copy.buffer.writeBytes(bytes)
        return copy
    }

    func length(_ value: UInt32) -> Bytes {
        var copy = self
        copy.buffer.writeInteger(value, endianness: self.order)
        return copy
    }

    func shortLength(_ value: UInt16) -> Bytes {
        var copy = self
        copy.buffer.writeInteger(value, endianness: self.order)
        return copy
    }

    /// An explicit VR element; `declared` overrides the length.
    func explicit(_ tag: Tag, _ vr: VR, _ value: [UInt8], declared: UInt32? = nil) -> Bytes {
        let count = declared ?? UInt32(value.count)
        let head = self.tag(tag).raw(Array(vr.description.utf8))
        let withLength = vr.hasLongLength ? head.raw([0, 0]).length(count) : head.shortLength(UInt16(count))
        return withLength.raw(value)
    }

    func explicit(_ tag: Tag, _ vr: VR, _ text: String, declared: UInt32? = nil) -> Bytes {
        self.explicit(tag, vr, Array(text.utf8), declared: declared)
    }

    /// An implicit VR element; `declared` overrides the length.
    func implicit(_ tag: Tag, _ value: [UInt8], declared: UInt32? = nil) -> Bytes {
        self.tag(tag).length(declared ?? UInt32(value.count)).raw(value)
    }

    func implicit(_ tag: Tag, _ text: String) -> Bytes {
        self.implicit(tag, Array(text.utf8))
    }

    /// Header of a sequence or encapsulated value of undefined length, explicit VR.
    func open(_ tag: Tag, _ vr: VR = .sq) -> Bytes {
        self.explicit(tag, vr, [], declared: .max)
    }

    func item(_ content: Bytes) -> Bytes {
        self.tag(.item).length(UInt32(content.array.count)).raw(content.array)
    }

    func openItem(_ content: Bytes) -> Bytes {
        self.tag(.item).length(.max).raw(content.array).tag(.itemDelimitation).length(0)
    }

    func fragment(_ bytes: [UInt8]) -> Bytes {
        self.tag(.item).length(UInt32(bytes.count)).raw(bytes)
    }

    func close() -> Bytes {
        self.tag(.sequenceDelimitation).length(0)
    }

    var array: [UInt8] { Array(self.buffer.readableBytesView) }
}

extension DataElement {
    /// The value's bytes, for comparisons.
    var array: [UInt8]? { self.value.bytes.map { Array($0.readableBytesView) } }
}

extension ByteBuffer {
    var array: [UInt8] { Array(self.readableBytesView) }
}

/// A reproducible source of randomness; the seed comes from `VARVE_TEST_SEED` or the clock and is printed on failure.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

func readError(_ body: () throws -> Void) -> DICOMError? {
    do {
        try body()
        return nil
    } catch {
        return error as? DICOMError
    }
}
