// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOConcurrencyHelpers
import NIOCore
public import Placement

/// The stores that a process may use, opened when they are needed first.
///
/// Orders and the catalog name places; what a process was not told to use in its own configuration it does not touch. So
/// whoever gets at a coordinator or the catalog can't have nodes write into another directory of theirs, nor send
/// images to a server of his choice. Safe to use from any number of tasks.
public final class ColdStores: Sendable {
    /// Stores open at once.
    public static let maximumCount = 32

    private struct State {
        var stores: [ColdPlace: any ObjectStore] = [:]
        var isShutDown = false
    }

    /// The cluster whose stores these are; a directory of another is refused.
    public let cluster: ClusterID
    private let allowed: [ColdPlace]
    private let state = NIOLockedValueBox(State())

    public init(cluster: ClusterID, allowed: [ColdPlace]) {
        self.cluster = cluster
        self.allowed = allowed
    }

    /// The store at a place that is written as a URL.
    ///
    /// - Throws: `.denied` when this process was not told to use it; `.unavailable` when it is not there.
    public func store(at text: String) async throws(ColdStoreError) -> any ObjectStore {
        let place = try ColdPlace(text)
        guard allowed.contains(where: { $0.permits(place) }) else {
            throw ColdStoreError(
                .denied,
                "this process may not use \(place): add it to 'cold-stores' in its configuration, and restart it"
            )
        }
        let (known, isShutDown) = state.withLockedValue { ($0.stores[place], $0.isShutDown) }
        guard !isShutDown else { throw ColdStoreError(.unavailable, "the process is stopping") }
        if let known { return known }
        let opened = try await open(place)
        let (store, spare) = state.withLockedValue { state -> ((any ObjectStore)?, (any ObjectStore)?) in
            // Somebody else was quicker.
            if let known = state.stores[place] { return (known, opened) }
            // What is not kept would never be closed.
            guard !state.isShutDown, state.stores.count < Self.maximumCount else { return (nil, opened) }
            state.stores[place] = opened
            return (opened, nil)
        }
        if let bucket = spare as? S3Store { await bucket.close() }
        guard let store else {
            throw ColdStoreError(
                .unavailable,
                "the process is stopping, or has \(Self.maximumCount) stores open already"
            )
        }
        return store
    }

    private func open(_ place: ColdPlace) async throws(ColdStoreError) -> any ObjectStore {
        switch place {
        case .directory(let path, let media):
            return try await DirectoryStore.open(path, cluster: cluster, media: media)
        case .bucket(let bucket):
            let count = state.withLockedValue { $0.stores.count }
            guard count < Self.maximumCount else {
                throw ColdStoreError(.unavailable, "\(count) stores are open already; restart the process")
            }
            return S3Store(
                try bucket.location(),
                credentials: try Self.credentials(bucket),
                storageClass: bucket.storageClass,
                lock: bucket.lock,
                restoreDays: bucket.restores ? (bucket.media ?? .usual).restoreDays : nil
            )
        }
    }

    /// From the environment, or from the file that the place names.
    private static func credentials(_ bucket: ColdPlace.Bucket) throws(ColdStoreError) -> S3Credentials {
        guard let path = bucket.credentialsFile else {
            var environment: [String: String] = [:]
            for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
                if let value = getenv(name) { environment[name] = String(cString: value) }
            }
            if let credentials = S3Credentials(environment: environment) { return credentials }
            throw ColdStoreError(
                .denied,
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of this process,"
                    + " or name a file in the tier"
            )
        }
        guard let file = try FileSystem.openFile(path) else {
            throw ColdStoreError(.denied, "there is no file of credentials \(path) on this host")
        }
        let bytes = try FileSystem.read(file, at: 0, byteCount: 1 << 16, path)
        guard let credentials = S3Credentials(file: String(buffer: bytes)) else {
            throw ColdStoreError(
                .denied,
                "\(path) has no aws_access_key_id and aws_secret_access_key for the profile default"
            )
        }
        return credentials
    }

    /// Has connections open to the servers of all stores that were opened: those who wait for an image don't wait for these.
    public func keepReady() async {
        let buckets = state.withLockedValue { $0.stores.values.compactMap { $0 as? S3Store } }
        // One that does not answer keeps no other waiting.
        await withDiscardingTaskGroup { group in
            for bucket in buckets { group.addTask { await bucket.keepReady() } }
        }
    }

    /// Closes them all.
    public func shutdown() async {
        let stores = state.withLockedValue { state in
            state.isShutDown = true
            defer { state.stores = [:] }
            return Array(state.stores.values)
        }
        for store in stores {
            if let bucket = store as? S3Store { await bucket.close() }
        }
    }
}

extension ObjectReader {
    /// An object as the store itself has it: of a directory nothing is taken that is in memory from writing it.
    ///
    /// - Throws: `.notFound` from a store that is there; `.unavailable` when it is not; `.offline`.
    public init(fromDisk key: ObjectKey, in store: any ObjectStore) async throws(ColdStoreError) {
        guard let directory = store as? DirectoryStore else {
            self = try await Self.opened(key, in: store)
            return
        }
        guard try await directory.status(of: key) != nil else {
            throw ColdStoreError(directory.absence, "there is no \(key) in \(directory.path)")
        }
        try await self.init(path: "\(directory.path)/\(key)", fromDisk: true)
    }

    private static func opened(
        _ key: ObjectKey,
        in store: some ObjectStore
    ) async throws(ColdStoreError) -> ObjectReader {
        try await ObjectReader(key, in: store)
    }
}
