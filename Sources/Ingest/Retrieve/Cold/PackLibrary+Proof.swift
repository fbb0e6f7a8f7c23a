// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import ColdStore
import NIOCore
import NIOPosix
import PackFormat
package import Placement

extension PackLibrary {
    /// Why it is not proven that a record is in a pack; nil when it is.
    ///
    /// Proven is what a pack holds that was sound when all of it was read after it had stood, and what is read from it again
    /// now: all bytes of the record, from the store and not from memory, have their digest.
    package func objection(to id: RecordID) async -> String? {
        let packs: [ColdPack]
        do throws(RetrieveFailure) {
            packs = try await directory.packs(holding: id)
        } catch {
            return error.reason
        }
        guard !packs.isEmpty else { return "no pack holds it" }
        var reasons: [String] = []
        for pack in packs {
            guard pack.verifiedAtMilliseconds != nil, pack.isVerifiedAgain else {
                reasons.append("\(pack.tier): the pack is in doubt, or has not been read again yet")
                continue
            }
            do throws(ColdStoreError) {
                try await readAnew(id, from: pack)
                return nil
            } catch {
                reasons.append("\(pack.tier): \(error)")
                await failed(pack, error)
            }
        }
        return reasons.joined(separator: "; ")
    }

    /// Reads all of a record past what is in memory; where it lies may be known from before.
    private func readAnew(_ id: RecordID, from pack: ColdPack) async throws(ColdStoreError) {
        let entry = try Self.entry(of: id, in: try await opened(pack))
        let key = try Self.key(of: pack)
        let reader = try await ObjectReader(fromDisk: key, in: try await stores.store(at: pack.place))
        guard entry.range.upperBound <= reader.byteCount else {
            throw ColdStoreError(
                .damaged,
                "the pack has \(reader.byteCount) bytes, it was written with \(pack.byteCount)"
            )
        }
        var hasher = SHA256Hasher()
        var offset = entry.range.lowerBound
        while offset < entry.range.upperBound {
            let end = min(offset + Self.pieceByteCount, entry.range.upperBound)
            hasher = await Self.updated(hasher, try await reader.read(offset..<end))
            offset = end
        }
        guard hasher.digest() == entry.digest else { throw Self.rotten }
    }

    /// On a thread made for it: an event loop may be waiting.
    static func digest(of bytes: ByteBuffer) async -> SHA256Digest? {
        // Fails only when the process is ending.
        try? await NIOThreadPool.singleton.runIfActive { SHA256Hasher.digest(of: bytes) }
    }

    static func updated(_ hasher: SHA256Hasher, _ bytes: ByteBuffer) async -> SHA256Hasher {
        // Fails only when the process is ending; the digest is not right then.
        let updated = try? await NIOThreadPool.singleton.runIfActive {
            var hasher = hasher
            hasher.update(bytes)
            return hasher
        }
        return updated ?? hasher
    }
}
