// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement
import ReplicationProtocol

/// The Unix socket of a node, by which peers on the same host reach it at less than half of TCP's cost
/// (docs/decisions/0046-local-sockets.md).
public enum LocalSocket {
    /// The longest path of a socket in bytes (unix(7): 108 with the zero at its end).
    static let maximumPathByteCount = 107
    /// Bytes that the kernel takes before the writer has to wait: a usual record, if the system's limit allows it.
    static let sendBufferByteCount: ChannelOptions.Types.SocketOption.Value = 1 << 20

    /// Where `node` listens within `directory`; `nil` when the path would be too long for a socket.
    public static func path(of node: NodeID, in directory: String) -> String? {
        let path = "\(directory)/\(node).sock"
        return path.utf8.count <= maximumPathByteCount ? path : nil
    }

    /// Whether the sockets of `directory` have paths that the system takes.
    public static func isUsable(_ directory: String) -> Bool {
        path(of: NodeID(high: .max, low: .max), in: directory) != nil
    }
}
