// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Placement

/// Where a cluster on one machine keeps its things, and the configuration of each of its processes.
///
/// `DIR/cluster` holds the cluster's id, `DIR/config` one YAML file a process (written anew at each start, but with
/// the storage nodes' ports kept), `DIR/storage-N` and `DIR/ingest-N` the processes' data, `DIR/storage-N-disk-2` and
/// so on a storage node's further disks, `DIR/postgres` the catalog, `DIR/run` the pid files, `DIR/log` the logs,
/// `DIR/tls` the cluster's authority and each process's certificate.
struct ClusterLayout {
    let directory: String
    let cluster: ClusterID

    /// Opens or makes the layout in `directory` (made absolute).
    init(directory: String) throws {
        let path = URL(fileURLWithPath: directory).standardizedFileURL.path
        self.directory = path
        do {
            for folder in ["", "/config", "/run", "/log"] {
                try FileManager.default.createDirectory(atPath: path + folder, withIntermediateDirectories: true)
            }
        } catch {
            throw CommandError("cannot use \(path) for the cluster's data: \(error.localizedDescription)")
        }
        self.cluster = try Self.clusterID(at: path + "/cluster")
    }

    private static func clusterID(at path: String) throws -> ClusterID {
        if FileManager.default.fileExists(atPath: path) {
            let text = try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
            guard let cluster = ClusterID(text) else {
                throw CommandError("\(path) is damaged: it must hold the cluster's UUID (see storage-1/identity)")
            }
            return cluster
        }
        var generator = SystemRandomNumberGenerator()
        let cluster = ClusterID(high: generator.next(), low: generator.next())
        try Data("\(cluster)\n".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        return cluster
    }

    /// Writes the configuration file of the process `name` and returns its path.
    func writeConfiguration(_ name: String, _ lines: [String]) throws -> String {
        let path = configurationPath(name)
        let text =
            "# Written by 'varve up' at each start: change its options instead.\n" + lines.joined(separator: "\n")
        try Data((text + "\n").utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        return path
    }

    /// Makes the directories of a storage node's disks, of which its own is the first, and returns their paths.
    func diskDirectories(of node: String, count: Int) throws -> [String] {
        let home = directory + "/" + node
        let paths = [home] + (1..<count).map { "\(home)-disk-\($0 + 1)" }
        for path in paths where mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw CommandError("cannot make the disk directory \(path): \(String(cString: strerror(errno)))")
        }
        return paths
    }

    private func configurationPath(_ name: String) -> String {
        directory + "/config/\(name).yaml"
    }

    /// The port that the storage node `name` had at the last start when it is still free, otherwise a free one.
    func port(forStorageNode name: String) throws -> Int {
        var settings =
            FileManager.default.fileExists(atPath: configurationPath(name))
            ? try Settings(path: configurationPath(name), environment: [:]) : try Settings(path: nil, environment: [:])
        let previous = try settings.integer("listen.port", default: 0, in: 0...65_535)
        if previous != 0, let port = Self.freePort(previous) { return port }
        guard let port = Self.freePort(0) else { throw CommandError("no free TCP port on 127.0.0.1") }
        return port
    }

    /// `port` when it can be bound on 127.0.0.1 (0: any free one), otherwise nil.
    static func freePort(_ port: Int) -> Int? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var reuse: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
            }
        }
        return isBound ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }
}
