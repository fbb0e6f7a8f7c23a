// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ColdStore
import Foundation
import Placement

/// How buckets are reached, for all commands that take a URL.
struct BucketOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The S3 server, like https://s3.example.org; without, AWS_ENDPOINT_URL or Amazon's.",
            valueName: "url"
        )
    )
    var endpoint: String?
    @Option(help: "The region; without, AWS_REGION or us-east-1.") var region: String?
    @Flag(help: "Name the bucket in the URL's path instead of its host, as most servers but Amazon's want it.")
    var pathStyle = false
    @Option(
        help: ArgumentHelp(
            """
            A file of credentials in the format of the AWS tools, used unless AWS_ACCESS_KEY_ID and \
            AWS_SECRET_ACCESS_KEY are set; without, ~/.aws/credentials.
            """,
            valueName: "file"
        )
    )
    var credentials: String?
    @Option(help: "The profile in it; without, AWS_PROFILE or default.") var profile: String?

    /// The store of a bucket; `url` is `s3://BUCKET` or `s3://BUCKET/PREFIX`.
    func store(_ url: String, storageClass: String? = nil, lock: ObjectLock? = nil) throws -> S3Store {
        let environment = ProcessInfo.processInfo.environment.filter { !$0.value.isEmpty }
        let location = try S3Location(
            url: url,
            endpoint: endpoint ?? environment["AWS_ENDPOINT_URL"],
            region: region ?? environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"] ?? "us-east-1",
            usesPathStyle: pathStyle
        )
        return S3Store(location, credentials: try found(environment), storageClass: storageClass, lock: lock)
    }

    private func found(_ environment: [String: String]) throws -> S3Credentials {
        if let credentials = S3Credentials(environment: environment) { return credentials }
        let path = credentials ?? environment["AWS_SHARED_CREDENTIALS_FILE"] ?? NSHomeDirectory() + "/.aws/credentials"
        let profile = profile ?? environment["AWS_PROFILE"] ?? "default"
        // What can't be read is said below, with what to do.
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandError(
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file (no \(path))"
            )
        }
        guard let credentials = S3Credentials(file: text, profile: profile) else {
            throw CommandError("\(path) has no aws_access_key_id and aws_secret_access_key for the profile \(profile)")
        }
        return credentials
    }
}

/// Where a pack is, as it was named on the command line.
enum PackPlace {
    /// The path of a file or directory, or of a `file:` URL; `nil` for a bucket.
    static func path(_ name: String) throws -> String? {
        if name.hasPrefix("s3://") { return nil }
        guard name.contains("://") || name.hasPrefix("file:") else { return name }
        guard let url = URL(string: name), url.isFileURL, (url.host ?? "").isEmpty, !url.path.isEmpty else {
            throw ValidationError("'\(name)' is neither a path nor a URL like file:///directory or s3://bucket/key")
        }
        return url.path
    }

    static func cluster(_ text: String?) throws -> ClusterID? {
        guard let text else { return nil }
        guard let cluster = ClusterID(text) else { throw ValidationError("--cluster \(text): it must be a UUID") }
        return cluster
    }

    /// Has `body` read the pack of that name; with `fromDisk` a file is not read from memory.
    static func read<Value>(
        _ name: String,
        _ bucket: BucketOptions,
        fromDisk: Bool = false,
        _ body: (ObjectReader) async throws -> Value
    ) async throws -> Value {
        if let path = try path(name) { return try await body(try await ObjectReader(path: path, fromDisk: fromDisk)) }
        let parts = name.dropFirst(5).split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let key = ObjectKey(parts[1]) else {
            throw ValidationError("'\(name)' names no pack in a bucket: use s3://BUCKET/KEY")
        }
        return try await use(try bucket.store("s3://\(parts[0])")) { store in
            try await body(try await ObjectReader(key, in: store))
        }
    }

    /// Has `body` use the store, and closes it.
    static func use<Value>(_ store: S3Store, _ body: (S3Store) async throws -> Value) async throws -> Value {
        do {
            let value = try await body(store)
            await store.close()
            return value
        } catch {
            await store.close()
            throw error
        }
    }
}

/// A word every few seconds while much is read or written.
struct PackProgress {
    private let total: UInt64
    private let start = ContinuousClock.now
    private var lastWord = ContinuousClock.now
    private var done: UInt64 = 0

    init(total: UInt64) {
        self.total = total
    }

    mutating func add(_ byteCount: UInt64) {
        done += byteCount
        guard ContinuousClock.now - lastWord > .seconds(3) else { return }
        lastWord = .now
        let seconds = Double((lastWord - start).components.seconds)
        let rate = readableBytes(Int64(Double(done) / max(1, seconds)))
        complain("\(readableBytes(Int64(done))) of \(readableBytes(Int64(total))), \(rate) a second")
    }
}
