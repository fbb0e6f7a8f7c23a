// SPDX-License-Identifier: Apache-2.0

public import DICOM
public import NIOCore

/// One instance of a store transaction that comes as metadata and bulk data (PS3.18 §10.5.1.1): its metadata, and which
/// bulk data belong to it.
///
/// A value without I/O. Made from the metadata when they have arrived; asked for the data set when all parts have:
/// ``inMemory(_:)`` says which parts' bytes ``assembled(from:values:)`` wants to have, the others stay where they are.
public struct DescribedInstance: Sendable {
    /// The most bytes of bulk data that an instance may have elsewhere than in top-level elements, whose values are put in
    /// by the metadata's reader.
    public static let maximumNestedByteCount = 64 << 20

    /// Empty as far as the metadata have no such value.
    public let sopClassUID: String
    public let sopInstanceUID: String
    public let studyInstanceUID: String
    public let seriesInstanceUID: String
    /// Where its Pixel Data are, when not in the metadata.
    let pixelDataLocation: String?
    /// Locations of the bulk data that it names, resolved; in the order of the metadata.
    public let locations: [String]

    let text: ByteBuffer
    let base: URIReference

    /// Reads one object of the metadata.
    ///
    /// `text` is that object alone (`DICOMJSON.split`), `base` the URL that its relative URIs are relative to.
    /// - Throws: 400 with what is wrong, and the tag.
    public init(_ text: ByteBuffer, base: URIReference) throws(DICOMWebError) {
        self.text = text
        self.base = base
        var locations: [String] = []
        var pixelDataLocation: String?
        let dataSet: DataSet
        do throws(DICOMError) {
            dataSet = try DICOMJSON.read(text) { reference throws(DICOMError) in
                guard reference.vr != .sq else {
                    throw DICOMError(.invalidJSON, "a sequence has items, and no BulkDataURI")
                }
                let location = Self.location(reference.uri, base)
                locations.append(location)
                if reference.path == TagPath(tag: .pixelData) { pixelDataLocation = location }
                return .bytes(ByteBuffer())
            }
        } catch {
            throw Self.refusal("the metadata of an instance are wrong: \(error)")
        }
        self.locations = locations
        self.pixelDataLocation = pixelDataLocation
        self.sopClassUID = dataSet.string(.sopClassUID) ?? ""
        self.sopInstanceUID = dataSet.string(.sopInstanceUID) ?? ""
        self.studyInstanceUID = dataSet.string(.studyInstanceUID) ?? ""
        self.seriesInstanceUID = dataSet.string(.seriesInstanceUID) ?? ""
    }

    /// The one form of a Content-Location or BulkDataURI, so that equal places are equal texts.
    public static func location(_ uri: String, _ base: URIReference) -> String {
        URIReference(uri).resolved(against: base).description
    }

    static func refusal(_ message: String) -> DICOMWebError { DICOMWebError(.badRequest, message) }
}

/// The parts with bulk data of a transaction, by their locations.
public struct BulkDataParts: Sendable {
    public private(set) var all: [BulkDataPart] = []
    private var indices: [String: [Int]] = [:]

    public init() {}

    public mutating func append(_ part: BulkDataPart) {
        indices[part.location, default: []].append(all.count)
        all.append(part)
    }

    /// The parts of a location, in the order they came: one, or the frames of an image.
    public func at(_ location: String) -> [Int] { indices[location] ?? [] }
}

/// A data set that is put together of bytes that are here and parts that are elsewhere.
public struct AssembledDataSet: Sendable, Hashable {
    public enum Piece: Sendable, Hashable {
        case bytes(ByteBuffer)
        /// All bytes of the part with this index.
        case part(Int)
    }

    public let transferSyntax: TransferSyntax
    public private(set) var pieces: [Piece] = []
    public private(set) var byteCount = 0

    init(transferSyntax: TransferSyntax) { self.transferSyntax = transferSyntax }

    mutating func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        byteCount += bytes.readableBytes
        guard case .bytes(var last)? = pieces.last else {
            pieces.append(.bytes(bytes))
            return
        }
        pieces.removeLast()
        last.writeImmutableBuffer(bytes)
        pieces.append(.bytes(last))
    }

    mutating func append(part index: Int, byteCount count: Int) {
        guard count > 0 else { return }
        byteCount += count
        pieces.append(.part(index))
    }
}
