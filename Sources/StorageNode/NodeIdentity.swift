// SPDX-License-Identifier: Apache-2.0

import Glibc
public import Placement

/// Who a storage node is: made when its data directory is first used, kept in `DIR/identity`, never changed.
///
/// Two lines of text, `cluster UUID` and `node UUID`. A directory of another cluster is refused: a disk put into the
/// wrong server must not answer for records it does not hold.
public struct NodeIdentity: Equatable, Sendable {
    public let cluster: ClusterID
    public let node: NodeID

    /// Reads the identity of `directory`, or makes one for `cluster` when there is none yet.
    ///
    /// - Throws: ``StorageNodeError`` when the file is damaged, belongs to another cluster or cannot be written.
    public static func load(directory: String, cluster: ClusterID) throws(StorageNodeError) -> NodeIdentity {
        let path = directory + "/identity"
        if let text = try read(path) {
            let identity = try parse(text, path: path)
            guard identity.cluster == cluster else {
                throw StorageNodeError(
                    "\(directory) belongs to cluster \(identity.cluster), not to \(cluster): check 'data' and 'cluster'"
                )
            }
            return identity
        }
        var generator = SystemRandomNumberGenerator()
        let node = NodeID(high: generator.next(), low: generator.next())
        try write("cluster \(cluster)\nnode \(node)\n", to: path, in: directory)
        return NodeIdentity(cluster: cluster, node: node)
    }

    static func parse(_ text: String, path: String) throws(StorageNodeError) -> NodeIdentity {
        var values: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2 { values[words[0]] = words[1] }
        }
        guard let cluster = values["cluster"].flatMap({ ClusterID($0) }),
            let node = values["node"].flatMap({ NodeID($0) })
        else {
            throw StorageNodeError(
                "\(path) is damaged: it must hold 'cluster UUID' and 'node UUID'; restore it from the catalog's node list"
            )
        }
        return NodeIdentity(cluster: cluster, node: node)
    }

    private static func read(_ path: String) throws(StorageNodeError) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw StorageNodeError("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else {
            throw StorageNodeError("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// Written beside, synced, renamed, and the directory synced: after a crash the file is whole or absent.
    private static func write(_ text: String, to path: String, in directory: String) throws(StorageNodeError) {
        func failure(_ what: String) -> StorageNodeError {
            StorageNodeError("cannot \(what) \(path): \(String(cString: strerror(errno)))")
        }
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create") }
        let bytes = Array(text.utf8)
        let isWritten = Glibc.write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else { throw failure("write") }
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("sync the directory of") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("sync the directory of") }
    }
}
