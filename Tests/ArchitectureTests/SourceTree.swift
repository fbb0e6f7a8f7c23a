// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The package's own sources, read from the working copy that this test was built from.
enum SourceTree {
    struct File {
        /// Relative to the package's root.
        let path: String
        let lines: [Substring]

        /// The modules that the file imports.
        var imports: [String] {
            lines.compactMap { line in
                var words = line.split(separator: " ")
                while let first = words.first,
                    ["public", "internal", "package", "private", "fileprivate"].contains(first)
                {
                    words.removeFirst()
                }
                if let first = words.first, first.hasPrefix("@") { words.removeFirst() }
                guard words.first == "import", words.count >= 2 else { return nil }
                // `import struct Module.Type` names the module before the dot.
                let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "typealias"]
                let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
                return String(name.split(separator: ".").first ?? name)
            }
        }
    }

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func folders(in path: String) throws -> Set<String> {
        let entries = try FileManager.default.contentsOfDirectory(
            at: root.appending(path: path),
            includingPropertiesForKeys: [.isDirectoryKey]
        )
        return try Set(
            entries.filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true }
                .map(\.lastPathComponent)
        )
    }

    static func swiftFiles(under path: String) throws -> [File] {
        guard let names = FileManager.default.enumerator(atPath: root.appending(path: path).path) else { return [] }
        return try names.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.sorted().map { name in
            let text = try String(contentsOf: root.appending(path: path).appending(path: name), encoding: .utf8)
            return File(path: "\(path)/\(name)", lines: text.split(separator: "\n", omittingEmptySubsequences: false))
        }
    }
}
