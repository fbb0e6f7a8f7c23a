// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
public import NIOCore

/// Objects in a bucket of S3, or of a server that speaks as it does.
///
/// Whoever makes one calls `close()` in the end.
public struct S3Store: ObjectStore {
    private let client: S3Client
    private let storageClass: String?

    /// Uses the bucket at `location`; `storageClass` is for objects that are written, the bucket's own when `nil`.
    public init(_ location: S3Location, credentials: S3Credentials, storageClass: String? = nil) {
        var configuration = HTTPClient.Configuration()
        // What is signed is signed for one host.
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(10)
        configuration.timeout.read = .seconds(60)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 16
        self.client = S3Client(
            location: location,
            signer: S3Signer(credentials: credentials, region: location.region),
            http: HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        )
        self.storageClass = storageClass
    }

    /// Closes the connections.
    public func close() async {
        // They are closed either way.
        try? await client.http.shutdown()
    }

    public func begin(_ key: ObjectKey, maximumByteCount: UInt64) async throws(ColdStoreError) -> S3Upload {
        guard try await status(of: key) == nil else {
            throw ColdStoreError(.exists, "\(client.location.name)\(key) is there already and is left as it is")
        }
        guard let partByteCount = S3Upload.partByteCount(maximumByteCount: maximumByteCount) else {
            throw ColdStoreError(.invalid, "\(maximumByteCount) bytes are more than an object may have (5 TiB)")
        }
        return S3Upload(key, client: client, partByteCount: partByteCount, storageClass: storageClass)
    }

    public func status(of key: ObjectKey) async throws(ColdStoreError) -> ObjectStatus? {
        do throws(ColdStoreError) {
            let answer = try await client.send(.head(key))
            guard let byteCount = UInt64(answer.fields["content-length"] ?? "") else {
                throw ColdStoreError(.failed, "\(client.location.name)\(key): the server does not say how long it is")
            }
            return ObjectStatus(key: key, byteCount: byteCount)
        } catch {
            guard error.code == .notFound else { throw error }
            // The answer to HEAD has no body that would say what there is not.
            try await requireBucket()
            return nil
        }
    }

    public func read(_ key: ObjectKey, _ range: Range<UInt64>) async throws(ColdStoreError) -> ByteBuffer {
        guard !range.isEmpty else { return ByteBuffer() }
        let answer = try await client.send(.get(key, range))
        // A server that does not know ranges gives everything from the start.
        guard answer.status == 206 || range.lowerBound == 0, answer.body.readableBytes == range.count else {
            throw ColdStoreError(
                .failed,
                "\(client.location.name)\(key): \(answer.body.readableBytes) bytes came of \(range.count)"
            )
        }
        return answer.body
    }

    public func list(after key: ObjectKey?, limit: Int) async throws(ColdStoreError) -> [ObjectStatus] {
        let prefix = client.location.prefix
        var found: [ObjectStatus] = []
        var continuation: String?
        repeat {
            let answer = try await client.send(
                .list(
                    prefix: prefix,
                    after: key.map { "\(prefix)\($0)" },
                    continuation: continuation,
                    limit: min(limit - found.count, S3Request.maximumPageCount)
                )
            )
            guard let page = S3Document(answer.body).flatMap({ S3Page($0) }) else {
                throw ColdStoreError(.failed, "\(client.location.name): the server's list can't be read")
            }
            for object in page.objects where object.key.hasPrefix(prefix) {
                // What is not named as ours is another's.
                guard let key = ObjectKey(object.key.dropFirst(prefix.count)) else { continue }
                found.append(ObjectStatus(key: key, byteCount: object.byteCount))
            }
            continuation = page.continuation
        } while continuation != nil && found.count < limit
        return found
    }

    private func requireBucket() async throws(ColdStoreError) {
        do throws(ColdStoreError) {
            _ = try await client.send(.head(nil))
        } catch {
            guard error.code == .notFound else { throw error }
            throw ColdStoreError(
                .unavailable,
                "there is no bucket \(client.location.bucket) on \(client.location.endpointHost)"
            )
        }
    }
}

extension S3Store: ObjectRemoval {
    public func remove(_ key: ObjectKey) async throws(ColdStoreError) {
        do throws(ColdStoreError) {
            _ = try await client.send(.delete(key))
        } catch {
            guard error.code == .notFound else { throw error }
            try await requireBucket()
        }
    }
}
