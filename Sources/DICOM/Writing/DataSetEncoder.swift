// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Appends elements to a buffer; the work of `DataSetWriter`.
struct DataSetEncoder {
    var output: ByteBuffer
    let options: DataSetWriter.Options

    mutating func write(
        _ dataSet: DataSet,
        as encoding: DataSetEncoding,
        bitsAllocated inherited: Int?
    ) throws(DICOMError) {
        var dataSet = dataSet
        if self.options.sortsElements { dataSet.normalizeOrder() }
        let isSameEncoding = dataSet.encoding == encoding
        let bitsAllocated = isSameEncoding ? nil : dataSet.integer(.bitsAllocated) ?? inherited
        var group: (number: UInt16, position: Int)?
        for element in dataSet.elements {
            if let open = group, open.number != element.tag.group {
                self.patchGroupLength(open.position, encoding)
                group = nil
            }
            if element.tag.isGroupLength {
                if self.options.omitsGroupLengths { continue }
                if !isSameEncoding, element.value.bytes?.readableBytes == 4 {
                    try self.write(element, of: dataSet, as: encoding, bitsAllocated: bitsAllocated)
                    group = (element.tag.group, self.output.writerIndex)
                    continue
                }
            }
            try self.write(element, of: dataSet, as: encoding, bitsAllocated: bitsAllocated)
        }
        if let group { self.patchGroupLength(group.position, encoding) }
    }

    private mutating func patchGroupLength(_ position: Int, _ encoding: DataSetEncoding) {
        let count = UInt32(truncatingIfNeeded: self.output.writerIndex - position)
        self.output.setInteger(count, at: position - 4, endianness: encoding.isBigEndian ? .big : .little)
    }

    private mutating func write(
        _ element: DataElement,
        of dataSet: DataSet,
        as encoding: DataSetEncoding,
        bitsAllocated: Int?
    ) throws(DICOMError) {
        switch element.value {
        case .bytes(let bytes):
            try self.write(
                element,
                bytes,
                swapped: dataSet.encoding.isBigEndian != encoding.isBigEndian,
                encoding,
                bitsAllocated
            )
        case .items(let items):
            try self.write(element, items, encoding, bitsAllocated)
        case .fragments(let value):
            guard encoding.isExplicitVR || element.tag.isPixelData else {
                // Without a VR a reader takes an undefined length of anything but Pixel Data for a sequence.
                throw DICOMError(.invalidStructure, "only Pixel Data has fragments without a VR", at: element.tag)
            }
            let vr = element.vr.hasLongLength ? element.vr : .ob
            self.writeHeader(element.tag, vr, length: ElementHeader.undefinedLength, encoding)
            try self.writeFragment(
                value.basicOffsetTable,
                element.tag,
                encoding,
                swapped: dataSet.encoding.isBigEndian != encoding.isBigEndian
            )
            for fragment in value.fragments {
                try self.writeFragment(fragment, element.tag, encoding, swapped: false)
            }
            self.writeItemHeader(.sequenceDelimitation, length: 0, encoding)
        }
    }

    private mutating func write(
        _ element: DataElement,
        _ bytes: ByteBuffer,
        swapped: Bool,
        _ encoding: DataSetEncoding,
        _ bitsAllocated: Int?
    ) throws(DICOMError) {
        var vr = element.vr
        let isPadded = self.options.padsOddValues && bytes.readableBytes % 2 != 0
        let count = bytes.readableBytes + (isPadded ? 1 : 0)
        guard count < Int(ElementHeader.undefinedLength) else {
            throw DICOMError(.valueTooLong, "the value has \(count) bytes", at: element.tag)
        }
        if encoding.isExplicitVR, !vr.hasLongLength, count > 0xFFFF {
            // PS3.5 section 6.2.2 note 1: what is too long for its VR's 16-bit length is written as UN.
            vr = .un
        }
        self.writeHeader(element.tag, vr, length: UInt32(count), encoding)
        var width = element.vr.wordByteCount
        if element.tag == .pixelData, element.vr == .ow, let bitsAllocated, bitsAllocated > 16 {
            // Toolkits read 32-bit cells of big endian pixel data as 32-bit numbers, not as pairs of words.
            width = bitsAllocated / 8
        }
        if swapped, width > 1 {
            self.output.writeSwapped(bytes, every: width)
        } else {
            self.output.writeImmutableBuffer(bytes)
        }
        if isPadded { self.output.writeInteger(element.vr.paddingByte) }
    }

    private mutating func write(
        _ element: DataElement,
        _ items: [SequenceItem],
        _ encoding: DataSetEncoding,
        _ bitsAllocated: Int?
    ) throws(DICOMError) {
        let isUnknown = element.vr == .un && encoding.isExplicitVR && !self.options.convertsUnknownSequences
        let vr = isUnknown ? VR.un : .sq
        let isUndefined = element.hasUndefinedLength || isUnknown || self.options.lengths == .undefined
        // PS3.5 section 6.2.2 note 2: what is in UN is implicit VR little endian, its items' headers too.
        let frame = isUnknown ? DataSetEncoding.implicitLittleEndian : encoding
        self.writeHeader(element.tag, vr, length: ElementHeader.undefinedLength, encoding)
        let start = self.output.writerIndex
        for item in items {
            let isOpen = item.hasUndefinedLength || self.options.lengths == .undefined
            self.writeItemHeader(.item, length: ElementHeader.undefinedLength, frame)
            let itemStart = self.output.writerIndex
            let inner = isUnknown && !item.dataSet.encoding.isBigEndian ? item.dataSet.encoding : frame
            try self.write(item.dataSet, as: inner, bitsAllocated: bitsAllocated)
            if isOpen {
                self.writeItemHeader(.itemDelimitation, length: 0, frame)
            } else {
                try self.patchLength(from: itemStart, element.tag, frame)
            }
        }
        if isUndefined {
            self.writeItemHeader(.sequenceDelimitation, length: 0, frame)
        } else {
            try self.patchLength(from: start, element.tag, encoding)
        }
    }

    private mutating func patchLength(from start: Int, _ tag: Tag, _ encoding: DataSetEncoding) throws(DICOMError) {
        let count = self.output.writerIndex - start
        guard count < Int(ElementHeader.undefinedLength) else {
            throw DICOMError(.valueTooLong, "the sequence has \(count) bytes", at: tag)
        }
        self.output.setInteger(UInt32(count), at: start - 4, endianness: encoding.isBigEndian ? .big : .little)
    }

    private mutating func writeHeader(_ tag: Tag, _ vr: VR, length: UInt32, _ encoding: DataSetEncoding) {
        // The whole header as one number: each write to a buffer has its price.
        let order: Endianness = encoding.isBigEndian ? .big : .little
        let (first, second) = (UInt64(tag.group), UInt64(tag.element))
        guard encoding.isExplicitVR else {
            self.output.writeInteger(second << 16 | first | UInt64(length) << 32, endianness: .little)
            return
        }
        let isLong = vr.hasLongLength
        let short = isLong ? 0 : UInt64(length & 0xFFFF)
        if encoding.isBigEndian {
            self.output.writeInteger(first << 48 | second << 32 | UInt64(vr.rawValue) << 16 | short)
        } else {
            let letters = UInt64(vr.rawValue.byteSwapped)
            self.output.writeInteger(first | second << 16 | letters << 32 | short << 48, endianness: .little)
        }
        if isLong { self.output.writeInteger(length, endianness: order) }
    }

    private mutating func writeItemHeader(_ tag: Tag, length: UInt32, _ encoding: DataSetEncoding) {
        let order: Endianness = encoding.isBigEndian ? .big : .little
        self.output.writeMultipleIntegers(tag.group, tag.element, length, endianness: order)
    }

    private mutating func writeFragment(
        _ bytes: ByteBuffer,
        _ tag: Tag,
        _ encoding: DataSetEncoding,
        swapped: Bool
    ) throws(DICOMError) {
        guard bytes.readableBytes < Int(ElementHeader.undefinedLength) else {
            throw DICOMError(.valueTooLong, "the fragment has \(bytes.readableBytes) bytes", at: tag)
        }
        self.writeItemHeader(.item, length: UInt32(bytes.readableBytes), encoding)
        if swapped { self.output.writeSwapped(bytes, every: 4) } else { self.output.writeImmutableBuffer(bytes) }
    }
}
