// SPDX-License-Identifier: Apache-2.0

import DICOM
public import NIOCore

extension DescribedInstance {
    /// The parts whose bytes have to be at hand to assemble the instance.
    ///
    /// Those of values within sequences, and of values whose length is a short one; those of pixel data, documents and
    /// other long values are not among them.
    /// - Throws: 400 when one is missing or can't be a value, or all together are over ``maximumNestedByteCount``.
    public func inMemory(_ parts: BulkDataParts) throws(DICOMWebError) -> [Int] {
        var wanted: [Int] = []
        _ = try read(parts) { index, reference throws(DICOMError) in
            if !Self.staysOutside(reference) { wanted.append(index) }
            return ByteBuffer()
        }
        let byteCount = wanted.reduce(0) { $0 + parts.all[$1].byteCount }
        guard byteCount <= Self.maximumNestedByteCount else {
            throw Self.refusal(
                "the bulk data within sequences have \(byteCount) bytes; \(Self.maximumNestedByteCount) are allowed"
            )
        }
        return wanted
    }

    /// The data set: Explicit VR Little Endian, or the syntax of its frames; `values` are the bytes of ``inMemory(_:)``.
    ///
    /// Elements of group 0002 don't become part of it (PS3.10 §7.1). The lengths of native pixel data and the number of
    /// compressed frames have to be what the metadata say: what is stored is whole, or is not stored.
    /// - Throws: 400 with what is wrong.
    public func assembled(
        from parts: BulkDataParts,
        values: [Int: ByteBuffer]
    ) throws(DICOMWebError) -> AssembledDataSet {
        var outside: [Tag: Int] = [:]
        var dataSet = try read(parts) { index, reference throws(DICOMError) in
            guard Self.staysOutside(reference) else { return values[index] ?? ByteBuffer() }
            outside[reference.path.tag] = index
            return ByteBuffer()
        }
        let named = dataSet.string(.transferSyntaxUID)
        dataSet = try Self.withoutFileMeta(dataSet)
        let pixels = try PixelDataPlan(dataSet, self, parts, isInline: outside[.pixelData] == nil)
        let syntax = pixels?.transferSyntax ?? .explicitVRLittleEndian
        if pixels != nil, let named, let known = TransferSyntax.known(named),
            known.isEncapsulated || syntax.isEncapsulated, known != syntax
        {
            throw Self.refusal(
                "Transfer Syntax UID (0002,0010) is \(known), but its pixel data came in \(syntax)"
            )
        }
        if case .frames = pixels {
            // They are of the fragments as they were; the table made here replaces them.
            dataSet.remove(.extendedOffsetTable)
            dataSet.remove(.extendedOffsetTableLengths)
        }
        do throws(DICOMError) {
            var writer = PieceWriter(transferSyntax: syntax)
            for element in dataSet.elements {
                if element.tag == .pixelData, let pixels {
                    try writer.write(pixels, element, parts, outside[.pixelData])
                } else if let index = outside[element.tag] {
                    try writer.write(element, part: index, byteCount: parts.all[index].byteCount)
                } else {
                    writer.write(element)
                }
            }
            return try writer.finish()
        } catch {
            throw Self.refusal("the data set can't be written: \(error)")
        }
    }

    /// Reads the metadata with the values of its bulk data: `value` gets the part of each.
    private func read(
        _ parts: BulkDataParts,
        _ value: @escaping (Int, DICOMJSON.BulkDataReference) throws(DICOMError) -> ByteBuffer
    ) throws(DICOMWebError) -> DataSet {
        do throws(DICOMError) {
            return try DICOMJSON.read(text) { reference throws(DICOMError) in
                let found = parts.at(Self.location(reference.uri, base))
                guard let index = found.first else {
                    throw DICOMError(.invalidValue, "no part has its BulkDataURI as Content-Location")
                }
                let isPixelData = reference.path.steps.isEmpty && reference.path.tag == .pixelData
                if !isPixelData { try Self.checkValue(found.map { parts.all[$0].content }) }
                var bytes = try value(index, reference)
                if bytes.readableBytes % 2 != 0 { bytes.writeInteger(reference.vr.paddingByte) }
                return .bytes(bytes)
            }
        } catch {
            throw Self.refusal("\(error)")
        }
    }

    private static func checkValue(_ contents: [BulkDataPart.Content]) throws(DICOMError) {
        guard contents.count == 1 else {
            throw DICOMError(.invalidValue, "\(contents.count) parts have its BulkDataURI; only frames come in several")
        }
        switch contents[0] {
        case .native, .document: break
        case .frame: throw DICOMError(.invalidValue, "its part is a compressed frame, but this is not Pixel Data")
        case .unusable(let reason): throw DICOMError(.invalidValue, "its part can't be used: \(reason)")
        }
    }

    /// Whether the value is put in as a piece of its own.
    private static func staysOutside(_ reference: DICOMJSON.BulkDataReference) -> Bool {
        reference.path.steps.isEmpty && (reference.vr.hasLongLength || reference.path.tag == .pixelData)
    }

    private static func withoutFileMeta(_ dataSet: DataSet) throws(DICOMWebError) -> DataSet {
        var kept = dataSet
        for element in dataSet.elements where element.tag.group < 8 {
            guard element.tag.group == 2 else {
                throw refusal("\(element.tag) is no element of an instance: groups begin at 0008 (PS3.5 section 7.1)")
            }
            kept.remove(element.tag)
        }
        return kept
    }
}

/// Writes elements one after the other, those of which the value is elsewhere as a piece.
private struct PieceWriter {
    private var result: AssembledDataSet
    /// Elements whose values are here, not written yet.
    private var waiting = DataSet(encoding: .explicitLittleEndian)

    init(transferSyntax: TransferSyntax) { result = AssembledDataSet(transferSyntax: transferSyntax) }

    mutating func write(_ element: DataElement) { waiting.append(element) }

    mutating func write(_ element: DataElement, part index: Int, byteCount: Int) throws(DICOMError) {
        try flush()
        result.append(try Self.header(element.tag, element.vr, length: byteCount + byteCount % 2))
        result.append(part: index, byteCount: byteCount)
        if byteCount % 2 != 0 { result.append(ByteBuffer(integer: element.vr.paddingByte)) }
    }

    mutating func write(
        _ plan: PixelDataPlan,
        _ element: DataElement,
        _ parts: BulkDataParts,
        _ outside: Int?
    ) throws(DICOMError) {
        switch plan {
        case .native(let vr):
            var element = element
            element.vr = vr
            if let outside {
                try write(element, part: outside, byteCount: parts.all[outside].byteCount)
            } else {
                write(element)
            }
        case .frames(let frames, _, let isVideo):
            try flush()
            result.append(try Self.header(.pixelData, .ob, length: nil))
            try write(frames, parts, hasTable: !isVideo)
        }
    }

    /// PS3.5 §A.4: the basic offset table, a fragment for each frame, and the delimiter.
    private mutating func write(_ frames: [Int], _ parts: BulkDataParts, hasTable: Bool) throws(DICOMError) {
        var table = ByteBuffer()
        var offset = 0
        for index in frames {
            guard let number = UInt32(exactly: offset) else {
                // Beyond 4 GiB it can't say where a frame is, and is left empty: each fragment is a frame.
                table.clear()
                break
            }
            table.writeInteger(number, endianness: .little)
            offset += 8 + parts.all[index].byteCount + parts.all[index].byteCount % 2
        }
        if !hasTable { table.clear() }
        result.append(Self.item(.item, UInt32(table.readableBytes)))
        result.append(table)
        for index in frames {
            let byteCount = parts.all[index].byteCount
            guard byteCount > 0, byteCount < Int(UInt32.max) - 1 else {
                throw DICOMError(.valueTooLong, "a frame has \(byteCount) bytes", tagPath: Tag.pixelData.description)
            }
            result.append(Self.item(.item, UInt32(byteCount + byteCount % 2)))
            result.append(part: index, byteCount: byteCount)
            if byteCount % 2 != 0 { result.append(ByteBuffer(integer: UInt8(0))) }
        }
        result.append(Self.item(.sequenceDelimitation, 0))
    }

    mutating func finish() throws(DICOMError) -> AssembledDataSet {
        try flush()
        return result
    }

    private mutating func flush() throws(DICOMError) {
        guard !waiting.isEmpty else { return }
        var bytes = ByteBuffer()
        try DataSetWriter.append(waiting, encoding: .explicitLittleEndian, to: &bytes)
        waiting = DataSet(encoding: .explicitLittleEndian)
        result.append(bytes)
    }

    /// PS3.5 §7.1.2; nil as length is the undefined one.
    private static func header(_ tag: Tag, _ vr: VR, length: Int?) throws(DICOMError) -> ByteBuffer {
        guard length ?? 0 < Int(UInt32.max) else {
            throw DICOMError(.valueTooLong, "the value has \(length ?? 0) bytes", tagPath: tag.description)
        }
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(tag.group, tag.element, endianness: .little)
        bytes.writeMultipleIntegers(vr.rawValue, UInt16(0))
        bytes.writeInteger(length.map { UInt32($0) } ?? UInt32.max, endianness: .little)
        return bytes
    }

    private static func item(_ tag: Tag, _ length: UInt32) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeMultipleIntegers(tag.group, tag.element, length, endianness: .little)
        return bytes
    }
}
