// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Glibc
public import NIOCore

/// Objects in a bucket of S3, or of a server that speaks as it does.
///
/// Whoever makes one calls `close()` in the end.
public struct S3Store: ObjectStore {
    private let client: S3Client
    private let options: S3WriteOptions
    /// For how many days what is read is restored from an archive class; nil: it is not.
    private let restoreDays: Int?

    /// Uses the bucket at `location`; `storageClass` is for objects that are written, the bucket's own when `nil`, and so is
    /// `lock`.
    ///
    /// With `restoreDays` objects of archive classes are asked to be restored for so long when they are read.
    public init(
        _ location: S3Location,
        credentials: S3Credentials,
        storageClass: String? = nil,
        lock: ObjectLock? = nil,
        restoreDays: Int? = nil
    ) {
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
        self.options = S3WriteOptions(storageClass: storageClass, lock: lock)
        self.restoreDays = restoreDays
    }

    /// Closes the connections.
    public func close() async {
        // They are closed either way.
        try? await client.http.shutdown()
    }

    /// Has connections to the server open, as many as the first image of a study needs; says nothing when it can't.
    func keepReady() async {
        var client = client
        client.backoff.maximumAttemptCount = 1
        client.timeout = .seconds(10)
        // Whatever is answered: it was over a connection that stays open.
        async let first = try? client.send(.head(nil))
        async let second = try? client.send(.head(nil))
        _ = await (first, second)
    }

    public func begin(_ key: ObjectKey, maximumByteCount: UInt64) async throws(ColdStoreError) -> S3Upload {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let seconds = Int64(now.tv_sec)
        let retention = options.lock?.retention(at: seconds)
        guard try await status(of: key) == nil else {
            // Of one whose writer died in between, or could not lock it, the lock is made up for.
            if let retention { try await client.lock(key, retention) { $0.fields[S3Retention.modeField] != nil } }
            throw ColdStoreError(.exists, "\(client.location.name)\(key) is there already and is left as it is")
        }
        guard let partByteCount = S3Upload.partByteCount(maximumByteCount: maximumByteCount) else {
            throw ColdStoreError(.invalid, "\(maximumByteCount) bytes are more than an object may have (5 TiB)")
        }
        if options.lock != nil { try await requireLocks() }
        return S3Upload(
            key,
            client: client,
            partByteCount: partByteCount,
            options: options.fields(at: seconds),
            retention: retention
        )
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
        let answer = try await get(key, range)
        // A server that does not know ranges gives everything from the start.
        guard answer.status == 206 || range.lowerBound == 0, answer.body.readableBytes == range.count else {
            throw ColdStoreError(
                .failed,
                "\(client.location.name)\(key): \(answer.body.readableBytes) bytes came of \(range.count)"
            )
        }
        return answer.body
    }

    private func get(_ key: ObjectKey, _ range: Range<UInt64>) async throws(ColdStoreError) -> S3Answer {
        do throws(ColdStoreError) {
            return try await client.send(.get(key, range))
        } catch {
            guard error.code == .offline, let restoreDays else { throw error }
            throw try await client.restore(key, days: restoreDays)
        }
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

    /// Servers that don't know of locks ignore what a request says of them.
    private func requireLocks() async throws(ColdStoreError) {
        let name = "the bucket \(client.location.bucket) on \(client.location.endpointHost)"
        let advice = "make a bucket with it, or take 'object-lock' out of the tier"
        do throws(ColdStoreError) {
            let answer = try await client.send(.lockConfiguration)
            let said = S3Document(answer.body)?.root
            guard said?.name == "ObjectLockConfiguration", said?.child("ObjectLockEnabled")?.text == "Enabled" else {
                throw ColdStoreError(.invalid, "\(name) does not say that it locks objects: \(advice)")
            }
        } catch {
            guard error.code == .notFound else { throw error }
            throw ColdStoreError(.invalid, "\(name) was made without object lock: \(advice)")
        }
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
            // Without its version, a bucket that keeps versions would hide the object and keep it.
            let head = try await client.send(.head(key))
            let version = head.fields["x-amz-version-id"].flatMap { $0 == "null" ? nil : $0 }
            do throws(ColdStoreError) {
                _ = try await client.send(.delete(key, version: version))
            } catch {
                guard error.code == .denied, let end = head.fields["x-amz-object-lock-retain-until-date"] else {
                    throw error
                }
                throw ColdStoreError(.denied, "\(client.location.name)\(key) is locked in its bucket until \(end)")
            }
        } catch {
            guard error.code == .notFound else { throw error }
            try await requireBucket()
        }
    }

    /// Aborts every upload of the key: nobody writes an object that is removed.
    public func removeUnfinished(_ key: ObjectKey) async throws(ColdStoreError) {
        let name = "\(client.location.prefix)\(key)"
        let answer = try await client.send(.uploads(prefix: name))
        guard let found = S3Document(answer.body).flatMap({ S3Uploads($0) }) else {
            throw ColdStoreError(.failed, "\(client.location.name): the server's list of uploads can't be read")
        }
        for upload in found.uploads where upload.key == name {
            do throws(ColdStoreError) {
                _ = try await client.send(.abort(key, upload.id))
            } catch {
                // It has ended meanwhile.
                guard error.code == .notFound else { throw error }
            }
        }
    }
}
