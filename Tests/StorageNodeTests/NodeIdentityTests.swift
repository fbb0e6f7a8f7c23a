// SPDX-License-Identifier: Apache-2.0

import Foundation
import Placement
import StorageNode
import Testing

@Suite struct NodeIdentityTests {
    private let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
    private let cluster = ClusterID(high: 1, low: 2)

    private func withDirectory(_ body: () throws -> Void) throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer {
            // A directory left behind in the temporary folder harms nobody.
            try? FileManager.default.removeItem(atPath: directory)
        }
        try body()
    }

    @Test func `an identity is made once and kept`() throws {
        try withDirectory {
            let first = try NodeIdentity.load(directory: directory, cluster: cluster)
            #expect(first.cluster == cluster)
            #expect(try NodeIdentity.load(directory: directory, cluster: cluster) == first)
        }
    }

    @Test func `a directory of another cluster is refused`() throws {
        try withDirectory {
            _ = try NodeIdentity.load(directory: directory, cluster: cluster)
            #expect(throws: StorageNodeError.self) {
                try NodeIdentity.load(directory: directory, cluster: ClusterID(high: 3, low: 4))
            }
        }
    }

    @Test(arguments: ["", "node", "cluster x\nnode y\n", "cluster 00000000-0000-0001-0000-000000000002\n"])
    func `a damaged identity is an error, never a new identity`(text: String) throws {
        try withDirectory {
            let path = directory + "/identity"
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            #expect(throws: StorageNodeError.self) {
                try NodeIdentity.load(directory: directory, cluster: cluster)
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        }
    }

    @Test func `a missing directory is an error that names it`() throws {
        let error = try #require(throws: StorageNodeError.self) {
            try NodeIdentity.load(directory: directory + "/none", cluster: cluster)
        }
        #expect(error.description.contains(directory))
    }
}
