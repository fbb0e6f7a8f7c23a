// SPDX-License-Identifier: Apache-2.0

/// The directories and the names of files in them: as a process sees them, and as a loss of power would leave them.
struct NameTable: Sendable {
    private enum Change: Sendable {
        case add(String, FileContent)
        case remove(String)
        case move(from: String, to: String, FileContent)

        func touches(_ directory: String) -> Bool {
            switch self {
            case .add(let path, _), .remove(let path): NameTable.parent(of: path) == directory
            case .move(let from, let to, _):
                NameTable.parent(of: from) == directory || NameTable.parent(of: to) == directory
            }
        }
    }

    private(set) var files: [String: FileContent] = [:]
    private(set) var directories: Set<String> = []
    private var durableFiles: [String: FileContent] = [:]
    private var durableDirectories: Set<String> = []
    /// What no sync of a directory has made durable yet, in order.
    private var changes: [Change] = []

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    mutating func addDirectory(_ path: String) { directories.insert(path) }

    func hasDirectory(_ path: String) -> Bool { directories.contains(path) }

    mutating func add(_ path: String, _ content: FileContent) {
        files[path] = content
        changes.append(.add(path, content))
    }

    mutating func remove(_ path: String) {
        if files.removeValue(forKey: path) != nil { changes.append(.remove(path)) }
    }

    mutating func move(_ from: String, to: String) {
        guard let content = files.removeValue(forKey: from) else { return }
        files[to] = content
        changes.append(.move(from: from, to: to, content))
    }

    /// Makes the entries of a directory durable.
    ///
    /// A move is durable when either of its directories is.
    mutating func sync(_ directory: String) {
        durableDirectories.formUnion(directories.filter { Self.parent(of: $0) == directory })
        let (synced, rest) = (changes.filter { $0.touches(directory) }, changes.filter { !$0.touches(directory) })
        for change in synced { Self.apply(change, to: &durableFiles) }
        changes = rest
    }

    /// The names after a loss of power: of what was not made durable, each change or not.
    func surviving(using generator: inout some RandomNumberGenerator) -> NameTable {
        var table = NameTable()
        var names = durableFiles
        for change in changes where Bool.random(using: &generator) { Self.apply(change, to: &names) }
        for path in directories.sorted() where durableDirectories.contains(path) || Bool.random(using: &generator) {
            let parent = Self.parent(of: path)
            if directories.contains(parent), !table.directories.contains(parent) { continue }
            table.directories.insert(path)
        }
        table.durableDirectories = table.directories
        table.files = names.filter { table.directories.contains(Self.parent(of: $0.key)) }
        table.durableFiles = table.files
        return table
    }

    /// The same table over other contents.
    func mapped(_ body: (FileContent) -> FileContent) -> NameTable {
        var copies: [ObjectIdentifier: FileContent] = [:]
        func copy(_ content: FileContent) -> FileContent {
            if let known = copies[ObjectIdentifier(content)] { return known }
            let new = body(content)
            copies[ObjectIdentifier(content)] = new
            return new
        }
        var table = self
        // In the order of the names, so that what `body` draws by chance does not depend on the process.
        for (path, content) in files.sorted(by: { $0.key < $1.key }) { table.files[path] = copy(content) }
        for (path, content) in durableFiles.sorted(by: { $0.key < $1.key }) { table.durableFiles[path] = copy(content) }
        table.changes = changes.map { change in
            switch change {
            case .add(let path, let content): .add(path, copy(content))
            case .remove: change
            case .move(let from, let to, let content): .move(from: from, to: to, copy(content))
            }
        }
        return table
    }

    private static func apply(_ change: Change, to names: inout [String: FileContent]) {
        switch change {
        case .add(let path, let content): names[path] = content
        case .remove(let path): names[path] = nil
        case .move(let from, let to, let content):
            // A file whose first name was lost can't have been renamed.
            guard names[from] === content else { return }
            names[from] = nil
            names[to] = content
        }
    }
}
