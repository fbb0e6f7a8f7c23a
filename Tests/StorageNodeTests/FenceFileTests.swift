// SPDX-License-Identifier: Apache-2.0

import Foundation
import Placement
import ReplicationProtocol
import StorageNode
import Testing

@Suite struct FenceFileTests {
    private static func withDirectory(_ body: (String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer {
            // A directory left behind in the temporary folder harms nobody.
            try? FileManager.default.removeItem(atPath: directory)
        }
        try body(directory)
    }

    @Test func `a node that nobody has spoken to knows no term`() throws {
        try Self.withDirectory { directory in
            let position = try FenceFile(directory: directory).load()
            #expect(position == FencePosition())
        }
    }

    @Test func `what was stored is read again`() throws {
        try Self.withDirectory { directory in
            for (number, isMember) in [(UInt64(1), true), (.max, false), (7, true)] {
                let position = FencePosition(
                    term: Term(rawValue: number),
                    mapEpoch: MapEpoch(rawValue: number / 2),
                    isMember: isMember
                )
                try FenceFile(directory: directory).store(position)
                let loaded = try FenceFile(directory: directory).load()
                #expect(loaded == position)
            }
        }
    }

    /// To forget a term is to obey a deposed coordinator.
    @Test(arguments: [
        "", "term 1\nepoch 2\n", "term 1\nepoch 2\nmember yes", "term x\nepoch 2\nmember yes\n",
        "term 1\nepoch 2\nmember perhaps\n", "epoch 2\nterm 1\nmember yes\n", "term -1\nepoch 2\nmember yes\n",
        "term 18446744073709551616\nepoch 2\nmember no\n", "term 1\nepoch 2\nmember no\nmore\n",
    ])
    func `a damaged file is an error that names it`(text: String) throws {
        try Self.withDirectory { directory in
            let path = directory + "/fence"
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            let error = try #require(throws: StorageNodeError.self) { try FenceFile(directory: directory).load() }
            #expect(error.description.contains(path))
            #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
        }
    }

    @Test func `a directory that is gone is an error`() throws {
        #expect(throws: StorageNodeError.self) {
            try FenceFile(directory: "/nonexistent/\(UUID().uuidString)").store(FencePosition())
        }
    }
}
