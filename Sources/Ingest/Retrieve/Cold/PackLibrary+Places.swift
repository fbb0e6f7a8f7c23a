// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import ColdStore
import DICOM
package import NIOCore
import NIOPosix
import PackFormat
package import Placement

extension PackLibrary {
    /// Bytes of a manifest's line that are read without having seen the manifest: metadata and frames of most instances.
    private static let lineByteLimit = 1 << 20

    /// A record that was found without its pack's manifest, and is proven.
    struct PlacedRecord: Sendable {
        let entry: PackEntry
        let bytes: ByteBuffer
    }

    /// A record that is being read so.
    typealias Placing = Task<Result<PlacedRecord?, ColdStoreError>, Never>

    /// The first record that is read of a pack, by the place that the catalog says: its line of the manifest and its bytes at once.
    ///
    /// Nil when it has to be found by the manifest. That is so, too, when something is not as it should be: whether the pack
    /// is damaged or only what the catalog says of it, shows the manifest.
    ///
    /// - Throws: what is true of the manifest as well: the store does not answer, may not be used, or has the pack on a medium that is not at hand.
    func placed(_ id: RecordID, in pack: ColdPack) async throws(ColdStoreError) -> PlacedRecord? {
        guard let place = pack.recordPlace.flatMap({ RecordPlace($0) }), let end = UInt64(exactly: pack.byteCount),
            place.content.upperBound <= end, place.content.count <= Self.wholeByteLimit,
            place.line.upperBound <= end, place.line.count <= Self.lineByteLimit
        else { return nil }
        return try await withPlace(of: pack, id) { await self.read(id, at: place, of: pack) }
    }

    private func read(
        _ id: RecordID,
        at place: RecordPlace,
        of pack: ColdPack
    ) async -> Result<PlacedRecord?, ColdStoreError> {
        do {
            let study = try UID(lenient: pack.studyInstanceUID)
            let store = try await stores.store(at: pack.place)
            let reader = Self.reader(try Self.key(of: pack), byteCount: UInt64(pack.byteCount), in: store)
            async let line = reader.read(place.line)
            async let content = reader.read(place.content)
            let entry = try place.entry(of: id, try await line, in: study)
            let bytes = try await content
            guard await Self.digest(of: bytes) == entry.digest else { return .success(nil) }
            keep(bytes, id)
            return .success(PlacedRecord(entry: entry, bytes: bytes))
        } catch let error as ColdStoreError where [.unavailable, .denied, .offline].contains(error.code) {
            return .failure(error)
        } catch {
            return .success(nil)
        }
    }

    /// The places of a pack's records, in that order, as the catalog has them: read from its manifest, which is not kept.
    package func places(of records: [RecordID], in pack: ColdPack) async throws(ColdStoreError) -> ByteBuffer {
        let index = try await readManifest(of: pack, PackID(high: pack.idHigh, low: pack.idLow)).index
        let result: Result<ByteBuffer, PackError>
        do {
            // Thousands of lines, on a thread made for it.
            result = try await NIOThreadPool.singleton.runIfActive {
                Result { () throws(PackError) in try index.places(of: records) }
            }
        } catch {
            throw ColdStoreError(.unavailable, "the process is stopping")
        }
        switch result {
        case .success(let places): return places
        case .failure(let error): throw ColdStoreError(.damaged, error.message)
        }
    }
}
