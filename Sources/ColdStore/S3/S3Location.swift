// SPDX-License-Identifier: Apache-2.0

/// Which bucket of which server, and under which names in it.
public struct S3Location: Hashable, Sendable {
    public let isEncrypted: Bool
    /// Of the server, without the bucket; with `:PORT` where that is not the scheme's own.
    public let endpointHost: String
    public let bucket: String
    /// What all keys begin with: empty, or ending with a slash.
    public let prefix: String
    public let region: String
    /// `https://server/bucket/key` instead of `https://bucket.server/key`.
    public let usesPathStyle: Bool

    /// Reads `s3://bucket` or `s3://bucket/prefix`, and the URL of a server (Amazon's when `nil`); what is wrong is said.
    public init(
        url: String,
        endpoint: String?,
        region: String,
        usesPathStyle: Bool
    ) throws(ColdStoreError) {
        guard url.hasPrefix("s3://") else { throw ColdStoreError(.invalid, "'\(url)' does not begin with s3://") }
        let rest = url.dropFirst(5)
        let bucket = String(rest.prefix { $0 != "/" })
        let isBucket = bucket.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isBucket, (3...63).contains(bucket.utf8.count) else {
            throw ColdStoreError(
                .invalid,
                "'\(bucket)' is no bucket: they have 3 to 63 lowercase letters, digits, dots and hyphens"
            )
        }
        let path = rest.dropFirst(bucket.count).split(separator: "/").joined(separator: "/")
        guard path.isEmpty || ObjectKey(path) != nil else {
            throw ColdStoreError(.invalid, "'\(path)' is no prefix: use letters, digits, '.', '_' and '-'")
        }
        guard !region.isEmpty, ObjectKey.isComponent(region) else {
            throw ColdStoreError(.invalid, "'\(region)' is no region")
        }
        self.bucket = bucket
        self.prefix = path.isEmpty ? "" : path + "/"
        self.region = region
        self.usesPathStyle = usesPathStyle
        let endpoint = endpoint ?? "https://s3.\(region).amazonaws.com"
        self.isEncrypted = endpoint.hasPrefix("https://")
        guard isEncrypted || endpoint.hasPrefix("http://") else {
            throw ColdStoreError(.invalid, "the endpoint '\(endpoint)' must begin with https:// or http://")
        }
        var host = endpoint.dropFirst(isEncrypted ? 8 : 7)
        if host.hasSuffix("/") { host.removeLast() }
        let ownPort = isEncrypted ? ":443" : ":80"
        if host.hasSuffix(ownPort) { host.removeLast(ownPort.count) }
        let isHost = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/?#@\\".utf8.contains($0) }
        guard !host.isEmpty, isHost else {
            throw ColdStoreError(.invalid, "the endpoint '\(endpoint)' must be a server's, like https://s3.example.org")
        }
        self.endpointHost = String(host)
    }

    /// The value of the Host field.
    package var host: String { usesPathStyle ? endpointHost : "\(bucket).\(endpointHost)" }

    /// The path of the bucket, or of an object in it; keys are such that nothing has to be escaped.
    package func path(of key: ObjectKey?) -> String {
        let object = key.map { "\(prefix)\($0)" } ?? ""
        return usesPathStyle ? "/\(bucket)\(object.isEmpty ? "" : "/\(object)")" : "/\(object)"
    }

    /// The bucket and prefix, for messages.
    package var name: String { "s3://\(bucket)/\(prefix)" }
}
