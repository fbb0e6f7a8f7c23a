// SPDX-License-Identifier: Apache-2.0

/// Where a store of packs is, written as a URL: what travels in orders and lies in the catalog.
///
/// `file:///srv/varve/cold[?offline-media=SECONDS:DAYS]`, or
/// `s3+https://HOST[:PORT]/BUCKET[/PREFIX]?region=R&path-style=yes&storage-class=C&object-lock=MODE:DAYS`
/// `&offline-media=SECONDS:DAYS&restore=yes&credentials=FILE`. Never with a secret in it: whoever opens the store has that in its environment or in the file.
public enum ColdPlace: Hashable, Sendable, CustomStringConvertible {
    /// A directory, by its absolute path; with `media` what is not there may be on a medium that was taken out.
    case directory(String, media: OfflineMedia? = nil)
    case bucket(Bucket)

    /// The most bytes of a URL.
    public static let maximumByteCount = 512

    /// A bucket of a server that speaks S3.
    public struct Bucket: Hashable, Sendable {
        /// `https://HOST[:PORT]`.
        public var endpoint: String
        public var name: String
        /// What keys begin with; empty, or without a slash at its ends.
        public var prefix = ""
        public var region: String?
        public var usesPathStyle = false
        public var storageClass: String?
        public var lock: ObjectLock?
        public var media: OfflineMedia?
        /// Whether objects of archive classes are asked to be restored when they are read.
        public var restores = false
        /// A file of credentials in the format of the AWS tools; the environment when `nil`.
        public var credentialsFile: String?

        public init(endpoint: String, name: String) {
            self.endpoint = endpoint
            self.name = name
        }
    }

    /// Reads a URL; what is wrong is said.
    public init(_ text: some StringProtocol) throws(ColdStoreError) {
        guard text.utf8.count <= Self.maximumByteCount else {
            throw ColdStoreError(.invalid, "a place of \(text.utf8.count) bytes; there may be \(Self.maximumByteCount)")
        }
        let text = String(text)
        if text.hasPrefix("file://") {
            let parts = text.dropFirst(7).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            self = .directory(
                try Self.path(parts[0], of: text),
                media: parts.count > 1 ? try Self.media(parts[1]) : nil
            )
        } else if text.hasPrefix("s3+https://") || text.hasPrefix("s3+http://") {
            self = .bucket(try Bucket(text.dropFirst(3)))
        } else {
            throw ColdStoreError(
                .invalid,
                "'\(text)' is no place for packs: it must be like file:///DIRECTORY or s3+https://HOST/BUCKET"
            )
        }
    }

    private static func path(_ encoded: Substring, of text: String) throws(ColdStoreError) -> String {
        guard var path = PercentEncoding.decode(encoded), path.hasPrefix("/"), !path.utf8.contains(0),
            !path.split(separator: "/").contains(where: { $0 == ".." || $0 == "." })
        else { throw ColdStoreError(.invalid, "'\(text)' must name a directory by its absolute path") }
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// The fields of a directory: there is one.
    private static func media(_ field: Substring) throws(ColdStoreError) -> OfflineMedia {
        let name = "offline-media="
        guard field.hasPrefix(name), let media = OfflineMedia(field.dropFirst(name.count)) else {
            throw ColdStoreError(.invalid, "'\(field)' in a place is not known: there is offline-media=SECONDS:DAYS")
        }
        return media
    }

    public var description: String {
        switch self {
        case .directory(let path, let media):
            "file://\(PercentEncoding.encode(path))\(media.map { "?offline-media=\($0)" } ?? "")"
        case .bucket(let bucket): bucket.text
        }
    }

    /// Whether what is at `other` may be used by a process that is told to use this.
    ///
    /// The same directory; the same bucket of the same server, and the same prefix or any when this has none.
    public func permits(_ other: ColdPlace) -> Bool {
        switch (self, other) {
        case (.directory(let mine, _), .directory(let path, _)): return mine == path
        case (.bucket(let mine), .bucket(let bucket)):
            guard mine.endpoint == bucket.endpoint, mine.name == bucket.name else { return false }
            return mine.prefix.isEmpty || mine.prefix == bucket.prefix
        default: return false
        }
    }
}

extension ColdPlace.Bucket {
    /// Reads what comes after `s3+`.
    fileprivate init(_ text: Substring) throws(ColdStoreError) {
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let scheme = text.hasPrefix("https://") ? "https://" : "http://"
        let segments = parts[0].dropFirst(scheme.count).split(separator: "/")
        guard segments.count >= 2 else {
            throw ColdStoreError(.invalid, "'s3+\(text)' must name a server and a bucket: s3+https://HOST/BUCKET")
        }
        self.init(endpoint: scheme + segments[0], name: String(segments[1]))
        prefix = segments.dropFirst(2).joined(separator: "/")
        for field in parts.dropFirst().flatMap({ $0.split(separator: "&") }) {
            let pair = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, let value = PercentEncoding.decode(pair[1]), !value.isEmpty else {
                throw ColdStoreError(.invalid, "'\(field)' in a place must be like NAME=VALUE")
            }
            switch pair[0] {
            case "region": region = value
            case "path-style" where value == "yes": usesPathStyle = true
            case "storage-class": storageClass = value
            case "object-lock" where ObjectLock(value) != nil: lock = ObjectLock(value)
            case "offline-media" where OfflineMedia(value) != nil: media = OfflineMedia(value)
            case "restore" where value == "yes": restores = true
            case "credentials": credentialsFile = value
            default:
                throw ColdStoreError(
                    .invalid,
                    "'\(field)' in a place is not known: there are region, path-style=yes, storage-class, "
                        + "object-lock=MODE:DAYS, offline-media=SECONDS:DAYS, restore=yes, credentials"
                )
            }
        }
        // What is wrong with the rest shows before anything is ordered.
        _ = try location()
    }

    /// The bucket as the store wants it.
    func location() throws(ColdStoreError) -> S3Location {
        try S3Location(
            url: prefix.isEmpty ? "s3://\(name)" : "s3://\(name)/\(prefix)",
            endpoint: endpoint,
            region: region ?? "us-east-1",
            usesPathStyle: usesPathStyle
        )
    }

    fileprivate var text: String {
        var fields: [String] = []
        if let region { fields.append("region=\(PercentEncoding.encode(region))") }
        if usesPathStyle { fields.append("path-style=yes") }
        if let storageClass { fields.append("storage-class=\(PercentEncoding.encode(storageClass))") }
        if let lock { fields.append("object-lock=\(lock)") }
        if let media { fields.append("offline-media=\(media)") }
        if restores { fields.append("restore=yes") }
        if let credentialsFile { fields.append("credentials=\(PercentEncoding.encode(credentialsFile))") }
        let path = prefix.isEmpty ? name : "\(name)/\(prefix)"
        return "s3+\(endpoint)/\(path)\(fields.isEmpty ? "" : "?")\(fields.joined(separator: "&"))"
    }
}

/// Bytes of a URL that stand for themselves, and others (RFC 3986 §2.1).
enum PercentEncoding {
    private static let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/".utf8)
    private static let digits = Array("0123456789ABCDEF".utf8)

    static func encode(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if plain.contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `nil` for a `%` without two digits behind it, and for what is not UTF-8.
    static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(value(of:)), let low = rest.popFirst().flatMap(value(of:)) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
