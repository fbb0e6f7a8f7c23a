// SPDX-License-Identifier: Apache-2.0

import DICOM
public import NIOCore
public import Placement

/// What says that a directory is a place for packs: the file `varve-cold-store.json` in it.
///
/// Without it a directory where nothing is mounted would look like a store whose packs are all gone.
public struct StoreMarker: Hashable, Sendable {
    /// The file's name.
    public static let name = "varve-cold-store.json"
    /// What it has at most.
    public static let maximumByteCount = 4096

    /// The cluster whose packs lie there; `nil` for any.
    public var cluster: ClusterID?

    public init(cluster: ClusterID?) {
        self.cluster = cluster
    }

    /// The file's bytes.
    public func encoded() -> ByteBuffer {
        let cluster = self.cluster.map { ",\"cluster\":\"\($0)\"" } ?? ""
        return ByteBuffer(string: "{\"format\":\"varve-cold-store\",\"version\":1\(cluster)}\n")
    }

    /// Reads the file's bytes.
    public init(decoding bytes: ByteBuffer) throws(PackError) {
        var format = ""
        var version = 0
        var cluster: ClusterID?
        do throws(DICOMError) {
            var scanner = ManifestScanner(bytes)
            try scanner.object { (scanner, key) throws(DICOMError) in
                switch key {
                case "format": format = try scanner.text()
                case "version": version = try scanner.integer()
                case "cluster": cluster = try scanner.value(ClusterID.self) { ClusterID($0) }
                default: return false
                }
                return true
            }
            try scanner.end()
        } catch {
            throw PackError(.damaged, "\(Self.name) can't be read: \(error.message)")
        }
        guard format == "varve-cold-store" else { throw PackError(.damaged, "\(Self.name) is another program's") }
        guard version == 1 else {
            throw PackError(.unsupportedVersion, "\(Self.name) is of version \(version); use a later Varve")
        }
        self.init(cluster: cluster)
    }
}
