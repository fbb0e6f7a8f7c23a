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

    /// The ports that the storage nodes had at the last start where they are still free, otherwise free ones.
    ///
    /// Free ones are looked for below those that the kernel gives to outgoing connections: one of these could take the
    /// port before the node listens on it, at this start or after the node's next death. `others` are taken, too.
    func ports(forStorageNodes names: [String], except others: Set<Int>) throws -> [Int] {
        var taken = others
        var candidates = (20_000..<Self.firstEphemeralPort()).shuffled().makeIterator()
        return try names.map { name in
            var settings =
                FileManager.default.fileExists(atPath: configurationPath(name))
                ? try Settings(path: configurationPath(name), environment: [:])
                : try Settings(path: nil, environment: [:])
            let previous = try settings.integer("listen.port", default: 0, in: 0...65_535)
            if previous != 0, !taken.contains(previous), Self.isFree(previous) {
                taken.insert(previous)
                return previous
            }
            while let port = candidates.next() {
                guard !taken.contains(port), Self.isFree(port) else { continue }
                taken.insert(port)
                return port
            }
            throw CommandError("no TCP port on 127.0.0.1 is free for \(name)")
        }
    }

    /// Where the ports begin that Linux gives to outgoing connections; its own default when it does not say.
    private static func firstEphemeralPort() -> Int {
        let range = try? String(contentsOfFile: "/proc/sys/net/ipv4/ip_local_port_range", encoding: .utf8)
        let first = range?.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) } ?? 32_768
        // Where somebody gave them nearly all ports there is no better place.
        return first > 20_100 ? first : 32_768
    }

    /// Whether `port` can be bound on 127.0.0.1.
    static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var reuse: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
