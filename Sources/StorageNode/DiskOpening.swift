// SPDX-License-Identifier: Apache-2.0

import Glibc
package import Logging
import Placement
package import SegmentStore

/// Finds the disks of a node, tells new ones from missing ones, and opens their stores.
///
/// A disk says whose it is in a file `disk` of its own, and the node's home says which disks there are: a mount point
/// without its disk is an empty directory, and must not become a new disk in silence. Blocks.
struct DiskOpening {
    let home: String
    let directories: [String]
    let identity: NodeIdentity
    let logger: Logger
    let openStore: (String) throws(SegmentStoreError) -> SegmentStore

    private enum Found {
        case here(DiskID)
        case new
        case missing(String)
    }

    func run() throws(StorageNodeError) -> NodeStore {
        try checkDirectories()
        let file = DurableTextFile("disks", in: home)
        let known = try DiskRegistry.read(file)
        let registry = DiskRegistry(file, known ?? DiskRegistry.Contents())
        var (ids, missing) = try identify(known)
        for path in directories where ids[path] == nil && !missing.contains(where: { $0.path == path }) {
            ids[path] = try make(path)
        }
        // Durable before anything is stored on them.
        try registry.change { contents in
            for (path, id) in ids.sorted(by: { $0.value < $1.value }) {
                contents.disks.removeAll { $0.id == id }
                contents.disks.append(DiskRegistry.Contents.Entry(id: id, path: path))
            }
        }
        let disks = try openStores(ids, &missing)
        for disk in missing {
            logger.error("disk is missing", metadata: ["disk": "\(disk.path)", "reason": "\(disk.reason)"])
        }
        if !missing.isEmpty {
            do {
                try registry.change { $0.isLacking = true }
            } catch {
                // What is in memory holds until the next start, which sees for itself.
                logger.warning("a missing disk could not be noted", metadata: ["reason": "\(error)"])
            }
        }
        return NodeStore(
            disks: disks,
            missing: missing,
            registry: registry,
            isUneven: !registry.current.isEven,
            isLacking: registry.current.isLacking || !missing.isEmpty
        )
    }

    private func checkDirectories() throws(StorageNodeError) {
        guard !directories.isEmpty, Set(directories).count == directories.count else {
            throw StorageNodeError("'disks' must name each directory once")
        }
        for path in directories where path.contains("\n") {
            throw StorageNodeError("'disks' has a directory with a line break in its name")
        }
        if !directories.contains(home), exists("\(home)/MANIFEST") {
            throw StorageNodeError("there are records in \(home): list it under 'disks', too")
        }
    }

    // MARK: Telling disks apart

    /// The disks that are there by path, and those that are not; what is in neither is new.
    private func identify(
        _ known: DiskRegistry.Contents?
    ) throws(StorageNodeError) -> (ids: [String: DiskID], missing: [NodeStore.MissingDisk]) {
        var ids: [String: DiskID] = [:]
        var missing: [NodeStore.MissingDisk] = []
        var new: [String] = []
        for path in directories {
            switch look(at: path, known) {
            case .here(let id) where ids.values.contains(id):
                missing.append(NodeStore.MissingDisk(path: path, reason: "it is a copy of another disk of the node"))
            case .here(let id): ids[path] = id
            case .new: new.append(path)
            case .missing(let reason): missing.append(NodeStore.MissingDisk(path: path, reason: reason))
            }
        }
        guard let known else {
            // Nothing is known of what a disk held that is missed now.
            if let first = missing.first {
                throw StorageNodeError("disk \(first.path): \(first.reason); the first start needs all disks")
            }
            return (ids, missing)
        }
        let reported = Set(missing.map(\.path))
        let lost = known.disks.filter { entry in !ids.values.contains(entry.id) }
        for entry in lost where !reported.contains(entry.path) {
            missing.append(
                NodeStore.MissingDisk(path: entry.path, reason: "disk \(entry.id) is in none of the directories")
            )
        }
        if let first = lost.first {
            // It may be the lost one, moved and not mounted.
            for path in new {
                let reason = "it would be a new disk, and disk \(first.id) is missing; \(remedy(first))"
                missing.append(NodeStore.MissingDisk(path: path, reason: reason))
            }
        }
        return (ids, missing)
    }

    private func remedy(_ entry: DiskRegistry.Contents.Entry) -> String {
        "mount it and restart the node, or, when it is gone for good, remove the line 'disk \(entry.id)' from "
            + "\(home)/disks"
    }

    private func look(at path: String, _ known: DiskRegistry.Contents?) -> Found {
        let text: String?
        do {
            text = try DurableTextFile("disk", in: path).read()
        } catch {
            return .missing(error.description)
        }
        if let text { return owner(text) }
        if let entry = known?.disks.first(where: { $0.path == path }) {
            return .missing("disk \(entry.id) was there and is not; \(remedy(entry))")
        }
        guard let names = try? RealDisk().fileNames(in: path) else {
            return .missing("the directory is not there or cannot be read")
        }
        // The home of a node of one disk is that disk.
        guard path == home || names.allSatisfy({ $0 == "lost+found" }) else {
            return .missing("the directory is not empty and no disk of this node")
        }
        return .new
    }

    private func owner(_ text: String) -> Found {
        let words = text.split(separator: "\n").map { $0.split(separator: " ") }
        guard words.count == 3, words.allSatisfy({ $0.count == 2 }),
            words.map({ $0[0] }) == ["cluster", "node", "disk"],
            let cluster = ClusterID(words[0][1]), let node = NodeID(words[1][1]), let id = DiskID(words[2][1])
        else { return .missing("its file 'disk' is damaged: it must hold 'cluster UUID', 'node UUID' and 'disk ID'") }
        guard cluster == identity.cluster, node == identity.node else {
            return .missing("it belongs to node \(node) of cluster \(cluster)")
        }
        return .here(id)
    }

    private func make(_ path: String) throws(StorageNodeError) -> DiskID {
        var generator = SystemRandomNumberGenerator()
        let id = DiskID(rawValue: max(1, generator.next()))
        try DurableTextFile("disk", in: path).replace(
            with: "cluster \(identity.cluster)\nnode \(identity.node)\ndisk \(id)\n"
        )
        logger.info("new disk", metadata: ["disk": "\(path)", "id": "\(id)"])
        return id
    }

    private func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    // MARK: Opening

    /// Opens what can be opened; all the rest is missing.
    private func openStores(
        _ ids: [String: DiskID],
        _ missing: inout [NodeStore.MissingDisk]
    ) throws(StorageNodeError) -> [NodeStore.Disk] {
        var disks: [NodeStore.Disk] = []
        var failure: SegmentStoreError?
        for path in directories {
            guard let id = ids[path] else { continue }
            do throws(SegmentStoreError) {
                let store = try openStore(path)
                let status = store.status
                let weight = Double(max(1, (status.usedBytes + status.freeBytes) >> 30))
                disks.append(NodeStore.Disk(id: id, path: path, store: store, weight: weight))
            } catch {
                failure = failure ?? error
                missing.append(NodeStore.MissingDisk(path: path, reason: error.description))
            }
        }
        guard disks.isEmpty else { return disks }
        if let failure { throw StorageNodeError(failure.description) }
        throw StorageNodeError(missing.map { "disk \($0.path): \($0.reason)" }.joined(separator: "; "))
    }
}

extension NodeStore {
    /// Opens the disks of the node whose home directory is `home`; `directories` are its disks, or `home` itself.
    ///
    /// Fails when no disk can be opened, or when at the first start not all can. Blocks.
    package static func open(
        home: String,
        directories: [String],
        identity: NodeIdentity,
        logger: Logger,
        openStore: (String) throws(SegmentStoreError) -> SegmentStore
    ) throws(StorageNodeError) -> NodeStore {
        func trimmed(_ path: String) -> String {
            path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        }
        return try withoutActuallyEscaping(openStore) { (openStore) throws(StorageNodeError) in
            try DiskOpening(
                home: trimmed(home),
                directories: directories.isEmpty ? [trimmed(home)] : directories.map(trimmed),
                identity: identity,
                logger: logger,
                openStore: openStore
            ).run()
        }
    }
}
