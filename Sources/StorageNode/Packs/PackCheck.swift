// SPDX-License-Identifier: Apache-2.0

import Checksums
import ColdStore
import PackFormat
import ReplicationProtocol

/// Reads a pack whole, as its store has it and not from memory, and proves every digest in it.
struct PackCheck: Sendable {
    /// What a pack is that was found sound.
    struct Proof: Sendable {
        let manifest: PackManifest
        let byteCount: UInt64
        let digest: SHA256Digest
    }

    let reference: PackReference
    let stores: ColdStores
    let progress: @Sendable (PullProgress) -> Void

    /// - Throws: `.damaged` says how much is wrong and where it begins, `.notFound` that a store which is there has no such pack.
    func prove(_ key: ObjectKey, in store: any ObjectStore) async throws(ColdStoreError) -> Proof {
        let reader = try await ObjectReader(fromDisk: key, in: store)
        let manifest = try await reader.packManifest()
        let total = reader.byteCount
        var done: UInt64 = 0
        let progress = progress
        let result = try await reader.verifyPack(manifest) { count in
            done += count
            progress(PullProgress(receivedByteCount: min(done, total), payloadByteCount: total))
        }
        if let first = result.findings.first {
            throw ColdStoreError(
                .damaged,
                "\(result.findings.count) findings in the pack, the first at byte \(first.offset): \(first.message)"
            )
        }
        return Proof(manifest: manifest, byteCount: result.byteCount, digest: result.digest)
    }

    /// Proves that the pack is the one of that length and digest.
    func prove(byteCount: UInt64, digest: SHA256Digest) async throws(ColdStoreError) {
        let study = reference.studyInstanceUID
        let id = PackID(high: reference.pack.high, low: reference.pack.low)
        guard let key = ObjectKey(PackDescription.key(of: id, study: study)) else {
            throw ColdStoreError(.invalid, "the study's UID can't be a name in a store")
        }
        let found = try await prove(key, in: try await stores.store(at: reference.place))
        guard found.byteCount == byteCount, found.digest == digest else {
            throw ColdStoreError(.damaged, "the pack is sound, and not the one that was built: its SHA-256 is another")
        }
    }
}

extension ReplicationError {
    /// The failure of a store of packs in the protocol's words.
    init(_ error: ColdStoreError) {
        let code: Code
        switch error.code {
        case .notFound: code = .notFound
        case .exists: code = .conflict
        case .full: code = .diskFull
        case .denied: code = .forbidden
        case .damaged: code = .corrupt
        case .invalid: code = .invalidRequest
        case .offline: code = .offline
        // Nothing is known of what it holds.
        case .unavailable: code = .unknown
        default: code = .diskFailed
        }
        self.init(code, error.message)
    }
}
