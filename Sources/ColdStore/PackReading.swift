// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import PackFormat

extension ObjectReader {
    /// Bytes that are read at once when a whole pack is.
    private static let pieceByteCount: UInt64 = 4 << 20

    /// Reads and checks the manifest: one read of a small pack, two of others.
    ///
    /// - Throws: `.damaged` when it is no sound pack.
    public func packManifest() async throws(ColdStoreError) -> PackManifest {
        var reader = try Self.packed { () throws(PackError) in try PackReader(byteCount: byteCount) }
        var step = reader.first
        while case .read(let range) = step {
            let bytes = try await read(range)
            step = try Self.packed { () throws(PackError) in try reader.receive(bytes) }
        }
        guard case .finished(let manifest) = step else {
            throw ColdStoreError(.damaged, "the pack's manifest can't be found")
        }
        return manifest
    }

    /// Reads where the records of a pack are: one read when `tailByteCount` bytes at its end are enough, two otherwise.
    ///
    /// - Throws: `.damaged` when it is no sound pack.
    public func packIndex(tailByteCount: UInt64) async throws(ColdStoreError) -> PackIndex {
        var reader = try Self.packed { () throws(PackError) in
            try PackReader(byteCount: byteCount, tailByteCount: tailByteCount)
        }
        var step = reader.firstForIndex
        while case .read(let range) = step {
            let bytes = try await read(range)
            step = try Self.packed { () throws(PackError) in try reader.receiveForIndex(bytes) }
        }
        guard case .finished(let index) = step else {
            throw ColdStoreError(.damaged, "the pack's manifest can't be found")
        }
        return index
    }

    /// Reads all of a pack and proves every digest in it; memory does not grow with the pack.
    ///
    /// The next piece is read while one is proven. `progress` is told how many bytes were read since it was told last.
    public func verifyPack(
        _ manifest: PackManifest,
        progress: (UInt64) -> Void = { _ in }
    ) async throws(ColdStoreError) -> PackVerifier.Result {
        var verifier = PackVerifier(manifest)
        var end = min(Self.pieceByteCount, byteCount)
        var piece = try await read(0..<end)
        while piece.readableBytes > 0 {
            let range = end..<min(end + Self.pieceByteCount, byteCount)
            async let next = bytes(of: range)
            verifier.append(piece)
            progress(UInt64(piece.readableBytes))
            piece = try await next.get()
            end = range.upperBound
        }
        return verifier.finish(expecting: byteCount)
    }

    private func bytes(of range: Range<UInt64>) async -> Result<ByteBuffer, ColdStoreError> {
        guard !range.isEmpty else { return .success(ByteBuffer()) }
        do throws(ColdStoreError) {
            return .success(try await read(range))
        } catch {
            return .failure(error)
        }
    }

    private static func packed<Value>(_ body: () throws(PackError) -> Value) throws(ColdStoreError) -> Value {
        do throws(PackError) {
            return try body()
        } catch {
            throw ColdStoreError(.damaged, error.message)
        }
    }
}
