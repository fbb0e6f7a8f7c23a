// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore

/// An object on its way into a bucket: one request when it is small, else parts, a few of them at once.
///
/// It holds the part that is being filled and those under way. Each part is sent with its SHA-256, which the server checks.
/// When the process dies meanwhile, parts stay in the bucket, unseen, until a rule of the bucket removes them.
public struct S3Upload: ObjectUpload {
    /// The smallest part: S3 takes 5 MiB and more.
    package static let minimumPartByteCount = 8 << 20
    /// Parts of an object (S3), less some for what was announced too low.
    package static let maximumPartCount = 9_900
    /// The largest object of S3.
    package static let maximumByteCount: UInt64 = 5 << 40
    /// Parts under way at once.
    static let maximumRunningCount = 4

    private let key: ObjectKey
    private let client: S3Client
    private let partByteCount: Int
    private let options: [S3Request.Field]
    private let retention: S3Retention?
    /// Stands in the object's metadata.
    private let name = String(UInt64.random(in: .min ... .max), radix: 16)
    private var pending = ByteBuffer()
    private var uploadID: String?
    /// In their order; `finish` and `abort` wait for all of them.
    private var running: [Task<Result<S3Part, ColdStoreError>, Never>] = []
    private var parts: [S3Part] = []
    private var isOver = false

    init(_ key: ObjectKey, client: S3Client, partByteCount: Int, options: [S3Request.Field], retention: S3Retention?) {
        self.key = key
        self.client = client
        self.partByteCount = partByteCount
        self.options = options
        self.retention = retention
    }

    /// Parts of this many bytes, whole MiB, suffice for the object; `nil` when none do.
    package static func partByteCount(maximumByteCount: UInt64) -> Int? {
        guard maximumByteCount <= Self.maximumByteCount else { return nil }
        let mebibytes = maximumByteCount / UInt64(maximumPartCount) / (1 << 20) + 1
        return max(minimumPartByteCount, Int(mebibytes) << 20)
    }

    public mutating func write(_ bytes: ByteBuffer) async throws(ColdStoreError) {
        guard !isOver else { throw ColdStoreError(.invalid, "\(key) is finished or given up") }
        pending.writeImmutableBuffer(bytes)
        while pending.readableBytes > partByteCount, let part = pending.readSlice(length: partByteCount) {
            try await send(part)
            pending.discardReadBytes()
        }
    }

    public mutating func finish() async throws(ColdStoreError) {
        guard !isOver else { throw ColdStoreError(.invalid, "\(key) is finished or given up") }
        do throws(ColdStoreError) {
            if uploadID == nil {
                try await settle(.put(key, pending, upload: name, options: options))
            } else {
                try await send(pending)
                while !running.isEmpty { try await collect() }
                guard let uploadID else { return }
                try await settle(.complete(key, parts, of: uploadID))
            }
            isOver = true
        } catch {
            await abort()
            throw error
        }
        // Of an object that came in parts some servers take no notice of what its request said.
        if let retention { try await client.lock(key, retention) { retention.isStated(in: $0) } }
    }

    public mutating func abort() async {
        guard !isOver else { return }
        isOver = true
        for task in running { task.cancel() }
        for task in running { _ = await task.value }
        running = []
        guard let uploadID else { return }
        // What is left otherwise is unseen, and the bucket's rule for unfinished uploads removes it.
        _ = try? await client.send(.abort(key, uploadID))
    }

    /// Sends the next part when few enough are under way.
    private mutating func send(_ bytes: ByteBuffer) async throws(ColdStoreError) {
        do throws(ColdStoreError) {
            if uploadID == nil { uploadID = try await create() }
            guard let uploadID else { return }
            while running.count >= Self.maximumRunningCount { try await collect() }
            let (key, client, number) = (key, client, parts.count + running.count + 1)
            running.append(Task { await Self.send(bytes, number: number, of: uploadID, key, client) })
        } catch {
            await abort()
            throw error
        }
    }

    private static func send(
        _ bytes: ByteBuffer,
        number: Int,
        of uploadID: String,
        _ key: ObjectKey,
        _ client: S3Client
    ) async -> Result<S3Part, ColdStoreError> {
        do throws(ColdStoreError) {
            let answer = try await client.send(.part(key, bytes, number: number, of: uploadID))
            guard let entityTag = answer.fields["etag"] else {
                return .failure(ColdStoreError(.failed, "\(key): the server took part \(number) without an ETag"))
            }
            let digest = SHA256Hasher.digest(of: bytes)
            return .success(S3Part(number: number, entityTag: entityTag, digest: digest))
        } catch {
            return .failure(error)
        }
    }

    /// Waits for the oldest part under way.
    private mutating func collect() async throws(ColdStoreError) {
        guard !running.isEmpty else { return }
        let task = running.removeFirst()
        parts.append(try await task.value.get())
    }

    private func create() async throws(ColdStoreError) -> String {
        let answer = try await client.send(.createMultipart(key, upload: name, options: options))
        guard let id = S3Document(answer.body)?.root.child("UploadId")?.text, !id.isEmpty else {
            throw ColdStoreError(.failed, "\(key): the server began no upload")
        }
        return id
    }

    /// Makes the request after which the object is seen.
    ///
    /// It may have been done although its answer was lost: asked again, the server refuses it then, because the object is
    /// there or the upload is not any more. The object's metadata says whether it is ours.
    private func settle(_ request: S3Request) async throws(ColdStoreError) {
        var attempts = 0
        do throws(ColdStoreError) {
            _ = try await client.send(request, attempts: &attempts)
        } catch {
            guard attempts > 1, error.code == .exists || error.code == .notFound,
                // Then the first error says more.
                let answer = try? await client.send(.head(key)), answer.fields[S3Request.uploadField] == name
            else { throw error }
        }
    }
}
