// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Reads data sets from a buffer, without copying values and without altering a byte of them.
///
/// Tolerant like the toolkits that write and read what archives get: see `DataSetParser`. Pure: no state between calls.
public enum DataSetReader {
    /// Reads the readable bytes of `bytes`, a data set without file meta information.
    ///
    /// With `stopBefore` it stops at the first top-level element with that tag or a greater one; its offset is then
    /// `ReadResult.stoppedAt`, and the bytes from there on need not be complete. Errors carry byte offset and tag path;
    /// their code is `.truncated` when more bytes may help.
    public static func read(
        _ bytes: ByteBuffer,
        transferSyntax: TransferSyntax,
        limits: ReadLimits = .standard,
        stopBefore: Tag? = nil
    ) throws(DICOMError) -> ReadResult {
        let source = try self.source(bytes, transferSyntax, limits)
        return try self.read(source, transferSyntax.encoding, limits, stopBefore.map { .before($0) } ?? .never)
    }

    /// Reads everything before the top-level Pixel Data (or Float or Double Float Pixel Data) and says where that is.
    ///
    /// The value of Pixel Data may be missing or cut: of a big object in a file the first megabyte will do.
    public static func readHeader(
        _ bytes: ByteBuffer,
        transferSyntax: TransferSyntax,
        limits: ReadLimits = .standard
    ) throws(DICOMError) -> ReadResult {
        let source = try self.source(bytes, transferSyntax, limits)
        return try self.read(source, transferSyntax.encoding, limits, .beforePixelData)
    }

    /// Reads a data set or an item in `encoding`, which nothing compresses.
    public static func read(
        _ bytes: ByteBuffer,
        encoding: DataSetEncoding,
        limits: ReadLimits = .standard,
        stopBefore: Tag? = nil
    ) throws(DICOMError) -> ReadResult {
        try self.read(bytes, encoding, limits, stopBefore.map { .before($0) } ?? .never)
    }

    private static func source(
        _ bytes: ByteBuffer,
        _ syntax: TransferSyntax,
        _ limits: ReadLimits
    ) throws(DICOMError) -> ByteBuffer {
        guard syntax.isDeflated else { return bytes }
        return try Deflate.inflate(bytes, maximumByteCount: limits.maximumInflatedByteCount)
    }

    private static func read(
        _ source: ByteBuffer,
        _ encoding: DataSetEncoding,
        _ limits: ReadLimits,
        _ stop: DataSetParser.Stop
    ) throws(DICOMError) -> ReadResult {
        var parser = DataSetParser(source: source, limits: limits, stop: stop)
        return ReadResult(try parser.parse(encoding), parser)
    }

    /// Reads all of `bytes` and tells what was put right on the way.
    static func readWithNotes(
        _ bytes: ByteBuffer,
        _ transferSyntax: TransferSyntax,
        _ limits: ReadLimits
    ) throws(DICOMError) -> (ReadResult, [DataSetParser.Note]) {
        let source = try self.source(bytes, transferSyntax, limits)
        var parser = DataSetParser(source: source, limits: limits, stop: .never)
        parser.notes = []
        let result = ReadResult(try parser.parse(transferSyntax.encoding), parser)
        return (result, parser.notes ?? [])
    }
}

/// What a reader found.
public struct ReadResult: Sendable {
    public var dataSet: DataSet
    /// Byte offset of the element the reader was told to stop at; nil when it read to the end.
    public var stoppedAt: Int?
    /// Bytes read as elements.
    public var consumedByteCount: Int
    /// Zero bytes after the last element, which some writers pad with.
    public var trailingByteCount: Int
    /// The top-level Pixel Data, when it was read or stopped at.
    public var pixelData: PixelDataLocation?
    /// What all offsets count in: the readable bytes of the given buffer, or of the inflated one.
    public var source: ByteBuffer

    init(_ dataSet: DataSet, _ parser: DataSetParser) {
        self.dataSet = dataSet
        self.stoppedAt = parser.stoppedAt
        self.consumedByteCount = parser.stoppedAt ?? parser.position
        self.trailingByteCount = parser.stoppedAt == nil ? parser.source.readableBytes - parser.position : 0
        self.pixelData = parser.pixelData
        self.source = parser.source
    }
}
