// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The DICOM file format (PS3.10 section 7): preamble, prefix, file meta information, data set.
public enum Part10 {
    /// Bytes before the prefix.
    public static let preambleByteCount = 128
    private static let prefix: [UInt8] = Array("DICM".utf8)
    private static let startOfDataSet = Tag(0x0003, 0x0000)

    /// What stands before the data set.
    public struct Header: Sendable {
        /// Nil when the file has none.
        public var preamble: ByteBuffer?
        public var meta: FileMeta
        /// Byte offset of the data set, from the first readable byte.
        public var dataSetOffset: Int
        /// The syntax named, or if none is, the one the first bytes of the data set look like.
        public var transferSyntax: TransferSyntax?
    }

    /// Reads everything before the data set.
    ///
    /// Accepts files without preamble, without prefix and without any meta information, and meta information in
    /// the wrong syntax, with a wrong group length or with elements that do not belong there.
    public static func readHeader(_ file: ByteBuffer) throws(DICOMError) -> Header {
        let start = self.startOfMeta(file)
        var rest = file
        rest.moveReaderIndex(forwardBy: start)
        var preamble: ByteBuffer?
        if start == self.preambleByteCount + self.prefix.count {
            preamble = file.getSlice(at: file.readerIndex, length: self.preambleByteCount)
        }
        let first = rest.getInteger(at: rest.readerIndex, endianness: .little, as: UInt16.self)
        guard let first, first == 0x0002 || first == 0x0200 else {
            guard let syntax = self.guess(rest), start > 0 || syntax.isPlausible else {
                throw DICOMError(
                    .invalidFileMeta,
                    "neither file meta information nor a data set starts here",
                    offset: start
                )
            }
            let meta = FileMeta(elements: DataSet(encoding: .explicitLittleEndian))
            return Header(preamble: preamble, meta: meta, dataSetOffset: start, transferSyntax: syntax.syntax)
        }
        let (elements, count) = try self.readMeta(rest, isBigEndian: first == 0x0200, offset: start)
        let meta = FileMeta(elements: elements)
        rest.moveReaderIndex(forwardBy: count)
        var syntax = meta.transferSyntax
        if meta.transferSyntaxUID == nil { syntax = self.guess(rest)?.syntax }
        return Header(preamble: preamble, meta: meta, dataSetOffset: start + count, transferSyntax: syntax)
    }

    /// Reads everything before the data set.
    public static func read(_ file: ByteBuffer) throws(DICOMError) -> (meta: FileMeta, dataSetOffset: Int) {
        let header = try self.readHeader(file)
        return (header.meta, header.dataSetOffset)
    }

    /// Preamble, prefix and meta information, with the right group length.
    public static func write(_ meta: FileMeta, preamble: ByteBuffer? = nil) throws(DICOMError) -> ByteBuffer {
        var group = ByteBuffer()
        var elements = meta.elements
        elements.remove(.fileMetaInformationGroupLength)
        try DataSetWriter.append(elements, encoding: .explicitLittleEndian, to: &group)
        var file = ByteBuffer()
        file.reserveCapacity(144 + group.readableBytes)
        if let preamble, preamble.readableBytes == self.preambleByteCount {
            file.writeImmutableBuffer(preamble)
        } else {
            file.writeRepeatingByte(0, count: self.preambleByteCount)
        }
        file.writeBytes(self.prefix)
        let length = UInt32(group.readableBytes)
        file.writeMultipleIntegers(UInt16(2), UInt16(0), endianness: .little)
        file.writeBytes(Array("UL".utf8))
        file.writeMultipleIntegers(UInt16(4), length, endianness: .little)
        file.writeBuffer(&group)
        return file
    }

    private static func startOfMeta(_ file: ByteBuffer) -> Int {
        for start in [self.preambleByteCount, 0] {
            if file.getBytes(at: file.readerIndex + start, length: 4) == self.prefix { return start + 4 }
        }
        return 0
    }

    /// The elements of group 0002 and their byte count, by the group length if that is right, else by group number.
    private static func readMeta(
        _ bytes: ByteBuffer,
        isBigEndian: Bool,
        offset: Int
    ) throws(DICOMError) -> (DataSet, Int) {
        let encoding = DataSetEncoding(isExplicitVR: true, isBigEndian: isBigEndian)
        if let count = self.declaredByteCount(bytes, isBigEndian: isBigEndian),
            let group = bytes.getSlice(at: bytes.readerIndex, length: count),
            // A wrong group length is no reason to fail: the elements below tell where the group ends.
            let result = try? DataSetReader.read(group, encoding: encoding),
            result.consumedByteCount == count, result.dataSet.elements.allSatisfy({ $0.tag.group == 2 }),
            let syntax = FileMeta(elements: result.dataSet).transferSyntaxUID,
            TransferSyntax.known(syntax)?.isDeflated == true || !self.isGroup2(bytes, at: count, isBigEndian)
        {
            return (result.dataSet, count)
        }
        do throws(DICOMError) {
            let result = try DataSetReader.read(bytes, encoding: encoding, stopBefore: self.startOfDataSet)
            return (result.dataSet, result.consumedByteCount)
        } catch {
            var error = error
            error.offset = error.offset.map { $0 + offset }
            throw error
        }
    }

    private static func isGroup2(_ bytes: ByteBuffer, at offset: Int, _ isBigEndian: Bool) -> Bool {
        let order: Endianness = isBigEndian ? .big : .little
        return bytes.getInteger(at: bytes.readerIndex + offset, endianness: order, as: UInt16.self) == 2
    }

    /// Bytes of the group, (0002,0000) included, as that element claims.
    private static func declaredByteCount(_ bytes: ByteBuffer, isBigEndian: Bool) -> Int? {
        let order: Endianness = isBigEndian ? .big : .little
        let start = bytes.readerIndex
        guard bytes.getInteger(at: start + 2, as: UInt16.self) == 0,
            let length = bytes.getInteger(at: start + 8, endianness: order, as: UInt32.self),
            Int(length) + 12 <= bytes.readableBytes
        else { return nil }
        return Int(length) + 12
    }

    /// The syntax a data set without meta information seems to be in.
    private static func guess(_ bytes: ByteBuffer) -> (syntax: TransferSyntax, isPlausible: Bool)? {
        let start = bytes.readerIndex
        guard let little = bytes.getInteger(at: start, endianness: .little, as: UInt16.self),
            let letters = bytes.getInteger(at: start + 4, endianness: .big, as: UInt16.self)
        else { return nil }
        let isExplicit = VR(rawValue: letters).isKnown
        // Data sets begin with group 0008, at most a little later.
        if little >= 0x0400, little & 0xFF == 0, isExplicit {
            return (.explicitVRBigEndian, true)
        }
        let isPlausible = little == 0x0008
        return (isExplicit ? .explicitVRLittleEndian : .implicitVRLittleEndian, isPlausible)
    }
}
