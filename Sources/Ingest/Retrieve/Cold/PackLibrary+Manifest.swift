// SPDX-License-Identifier: Apache-2.0

import Catalog
import ColdStore
import PackFormat
import Placement

extension PackLibrary {
    /// The name of a pack in its store.
    static func key(of pack: ColdPack) throws(ColdStoreError) -> ColdStore.ObjectKey {
        let id = PackID(high: pack.idHigh, low: pack.idLow)
        guard let key = ColdStore.ObjectKey(PackDescription.key(of: id, study: pack.studyInstanceUID)) else {
            throw ColdStoreError(.invalid, "the study's UID can't be a name in a store")
        }
        return key
    }

    func readManifest(of pack: ColdPack, _ id: PackID) async throws(ColdStoreError) -> OpenPack {
        let key = try Self.key(of: pack)
        let store = try await stores.store(at: pack.place)
        let byteCount = UInt64(max(0, pack.byteCount))
        let reader = Self.reader(key, byteCount: byteCount, in: store)
        let index: PackIndex
        do throws(ColdStoreError) {
            let tail = (UInt64(max(0, pack.instanceCount)) + 16) * Self.tailByteCount
            index = try await reader.packIndex(tailByteCount: min(tail, Self.maximumTailByteCount))
        } catch {
            // Its length is asked for only now, as a good pack is read without.
            guard let status = try await store.status(of: key), status.byteCount != byteCount else { throw error }
            throw ColdStoreError(.damaged, "the pack has \(status.byteCount) bytes, it was written with \(byteCount)")
        }
        guard index.description.id == id, index.description.cluster == stores.cluster else {
            throw ColdStoreError(.damaged, "another pack lies under the name")
        }
        return OpenPack(id: id, place: pack.place, reader: reader, index: index)
    }

    static func entry(of id: RecordID, in pack: OpenPack) throws(ColdStoreError) -> PackEntry {
        let entry: PackEntry?
        do throws(PackError) {
            entry = try pack.index.entry(of: id)
        } catch {
            throw ColdStoreError(.damaged, error.message)
        }
        guard let entry else {
            throw ColdStoreError(.damaged, "the record is not in the pack that should hold it")
        }
        return entry
    }

    static func reader(
        _ key: ColdStore.ObjectKey,
        byteCount: UInt64,
        in store: some ObjectStore
    ) -> ObjectReader {
        ObjectReader(key, byteCount: byteCount, in: store)
    }
}
