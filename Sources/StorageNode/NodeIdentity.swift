// SPDX-License-Identifier: Apache-2.0

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
        let file = DurableTextFile("identity", in: directory)
        if let text = try file.read() {
            let identity = try parse(text, path: file.path)
            guard identity.cluster == cluster else {
                throw StorageNodeError(
                    "\(directory) belongs to cluster \(identity.cluster), not to \(cluster): check 'data' and 'cluster'"
                )
            }
            return identity
        }
        var generator = SystemRandomNumberGenerator()
        let node = NodeID(high: generator.next(), low: generator.next())
        try file.replace(with: "cluster \(cluster)\nnode \(node)\n")
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
}
