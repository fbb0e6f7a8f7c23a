// SPDX-License-Identifier: Apache-2.0

import PackFormat

/// Goes through the objects of a directory in the order of their keys, from any key on.
///
/// It holds the names of the folders that it is in, no more. Whatever is not named as an object is passed over.
struct DirectoryWalk {
    private let root: String
    private let after: String
    private let limit: Int
    private(set) var found: [ObjectStatus] = []

    init(root: String, after: String, limit: Int) {
        self.root = root
        self.after = after
        self.limit = limit
    }

    mutating func run() throws(ColdStoreError) {
        try visit("", depth: 1)
    }

    /// Visits the folder of keys that begin with `prefix`, which is empty or ends with a slash.
    private mutating func visit(_ prefix: String, depth: Int) throws(ColdStoreError) {
        let folder = prefix.isEmpty ? root : "\(root)/\(prefix.dropLast())"
        var children: [String] = []
        for name in try FileSystem.names(in: folder) where ObjectKey.isComponent(name) {
            switch try FileSystem.kind(of: "\(folder)/\(name)") {
            // With its slash a folder sorts as the keys in it do.
            case .directory: children.append("\(prefix)\(name)/")
            case .file: children.append("\(prefix)\(name)")
            // Gone since, or no object.
            case .other, nil: continue
            }
        }
        children.sort()
        for child in children {
            guard found.count < limit else { return }
            if child.hasSuffix("/") {
                // All its keys come before `after`, unless that is one of them.
                guard child > after || after.hasPrefix(child), depth < ObjectKey.maximumComponentCount else { continue }
                try visit(child, depth: depth + 1)
            } else if child > after, child != StoreMarker.name, let key = ObjectKey(child),
                case .file(let byteCount) = try FileSystem.kind(of: "\(root)/\(child)")
            {
                found.append(ObjectStatus(key: key, byteCount: byteCount))
            }
        }
    }
}
