// SPDX-License-Identifier: Apache-2.0

public import DICOM
public import NIOCore

/// One part with bulk data of a store transaction, without its bytes: where it belongs, and what it is (PS3.18 §10.5.1.1).
public struct BulkDataPart: Sendable, Hashable {
    /// What the bytes are.
    public enum Content: Sendable, Hashable {
        /// A value in little endian, as in Explicit VR Little Endian.
        case native
        /// A compressed frame, or a whole video; `candidates` are the syntaxes it may be in, the best first.
        case frame(candidates: [TransferSyntax], isVideo: Bool)
        /// A document, a mesh: bytes that are a value, but no pixels.
        case document
        /// Bytes that are no value here, and why.
        case unusable(String)
    }

    /// Its Content-Location, resolved.
    public let location: String
    public let content: Content
    public let byteCount: Int

    public init(location: String, content: Content, byteCount: Int) {
        self.location = location
        self.content = content
        self.byteCount = byteCount
    }
}

extension BulkDataPart.Content {
    /// Media types of pixel data and the syntaxes that go with each, the default first (PS3.18 tables 8.7.3-2 to 8.7.3-4),
    /// without the stem of their UIDs.
    private static let mediaTypes: [String: [String]] = [
        "image/jpeg": [".4.70", ".4.50", ".4.51", ".4.57"],
        "image/jls": [".4.80", ".4.81"],
        "image/jp2": [".4.90", ".4.91"],
        "image/jpx": [".4.92", ".4.93"],
        "image/jphc": [".4.201", ".4.202", ".4.203"],
        "image/jxl": [".4.110", ".4.111", ".4.112"],
        "image/dicom-rle": [".5"],
        // As they were called before 2014, and by clients still.
        "image/x-jls": [".4.80", ".4.81"],
        "image/x-dicom-rle": [".5"],
        "video/mpeg": [".4.100", ".4.101", ".4.100.1", ".4.101.1"],
        "video/mp4": [
            ".4.102", ".4.103", ".4.104", ".4.105", ".4.106", ".4.107", ".4.108", ".4.102.1", ".4.103.1", ".4.104.1",
            ".4.105.1", ".4.106.1",
        ],
    ]

    private static let stem = "1.2.840.10008.1.2"

    /// Reads the Content-Type of a part; `head` are its first bytes.
    ///
    /// Without a Content-Type it is `application/octet-stream`. A syntax that the type names has to be one of the type's,
    /// and has to be what the stream says of itself.
    public init(contentType text: String?, head: ByteBuffer) {
        let type: MediaType
        do throws(DICOMWebError) {
            type = try MediaType(parsing: text ?? "application/octet-stream")
        } catch {
            self = .unusable("its Content-Type is malformed")
            return
        }
        var named: TransferSyntax?
        if let uid = type.parameter("transfer-syntax") {
            guard let known = TransferSyntax.known(uid) else {
                self = .unusable("its Content-Type names a transfer syntax that is not known")
                return
            }
            named = known
        }
        if let suffixes = Self.mediaTypes[type.essence] {
            let allowed = suffixes.compactMap { TransferSyntax.known(Self.stem + $0) }
            self = Self.frame(named, allowed, isVideo: type.type == "video", head)
        } else if type.type == "image" || type.type == "video" {
            self = .unusable("no transfer syntax has frames of type \(type.essence) (PS3.18 section 8.7.3)")
        } else if let named, named.isEncapsulated {
            let isVideo = Self.mediaTypes.contains { name, suffixes in
                name.hasPrefix("video/") && suffixes.contains { named.uid.string == Self.stem + $0 }
            }
            self = Self.frame(named, [named], isVideo: isVideo, head)
        } else if let named, named.isBigEndian || named.isDeflated {
            self = .unusable("bulk data are in little endian and not deflated, but its Content-Type names \(named)")
        } else {
            self = type.essence == "application/octet-stream" ? .native : .document
        }
    }

    private static func frame(
        _ named: TransferSyntax?,
        _ allowed: [TransferSyntax],
        isVideo: Bool,
        _ head: ByteBuffer
    ) -> Self {
        if let named, !allowed.contains(named) {
            return .unusable("its Content-Type names \(named), which is none of that media type")
        }
        var candidates = named.map { [$0] } ?? allowed
        guard !isVideo, allowed.contains(where: { FrameStream.describes($0) }) else {
            // Without a word of the stream's own, only the default is left.
            return .frame(candidates: Array(candidates.prefix(1)), isVideo: isVideo)
        }
        switch FrameStream.look(at: head) {
        case .unknown: return .unusable("it does not begin like a frame of its media type")
        case .boxed:
            return .unusable("it is a JPEG 2000 file; only the code stream in it is a frame (PS3.5 section A.4.4)")
        case .syntaxes(let uids):
            candidates = uids.compactMap { uid in candidates.first { $0.uid.string == uid } }
            guard !candidates.isEmpty else {
                return .unusable(
                    "its stream is \(uids.first.flatMap { TransferSyntax.known($0) }?.name ?? "another"), "
                        + "which its Content-Type does not allow"
                )
            }
            return .frame(candidates: candidates, isVideo: false)
        }
    }
}

extension FrameStream {
    /// Whether streams of this syntax are told apart here.
    static func describes(_ syntax: TransferSyntax) -> Bool {
        let suffix = syntax.uid.string.dropFirst("1.2.840.10008.1.2.4.".utf8.count)
        guard syntax.uid.string.hasPrefix("1.2.840.10008.1.2.4."), let number = Int(suffix) else { return false }
        return (50...93).contains(number) || (201...203).contains(number)
    }
}
