// SPDX-License-Identifier: Apache-2.0

import ClusterCertificates
import Foundation
import Testing

/// Files that fit together, and files that do not.
@Suite struct CertificateFilesTests {
    private static let uri = "varve://cluster/1/storage/a"

    /// Two authorities, each with a certificate for `a`.
    private struct Scene {
        let path: String
        let ours: CertificateDirectory
        let theirs: CertificateDirectory
        let files: CertificateFiles
        let foreign: CertificateFiles

        init(_ path: String) throws {
            self.path = path
            let now = Date()
            ours = try CertificateDirectory.create(path + "/ours", uri: "varve://cluster/1", now: now)
            theirs = try CertificateDirectory.create(path + "/theirs", uri: "varve://cluster/1", now: now)
            files = try ours.files(name: "a", uri: CertificateFilesTests.uri, now: now)
            foreign = try theirs.files(name: "a", uri: CertificateFilesTests.uri, now: now)
        }
    }

    private static func run(_ body: (Scene) async throws -> Void) async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer {
            // A directory left behind in the temporary folder harms nobody.
            try? FileManager.default.removeItem(atPath: path)
        }
        try await body(try Scene(path))
    }

    private static func expect(_ files: CertificateFiles, _ reason: String, _ path: String) async throws {
        let error = await #expect(throws: CertificateFileError.self) { _ = try await files.checked() }
        #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
        #expect(error?.description.contains(path) == true, "\(String(describing: error))")
    }

    @Test func `what was issued is good, and says for whom and how long`() async throws {
        try await Self.run { scene in
            let facts = try await scene.files.checked()
            #expect(facts.uris == [Self.uri])
            #expect(facts.notValidBefore <= Date())
            let end = Date() + CertificateAuthority.leafLifetime
            #expect(abs(facts.notValidAfter.timeIntervalSince(end)) < 600)
            let short = try scene.ours.issue(
                name: "a",
                uri: Self.uri,
                now: Date(),
                lifetime: 86_400,
                into: scene.path + "/out"
            )
            let shortFacts = try await short.checked()
            #expect(shortFacts.notValidAfter < Date() + 86_401)
        }
    }

    @Test func `each file that does not fit is named`() async throws {
        try await Self.run { scene in
            let (files, foreign) = (scene.files, scene.foreign)
            func with(authority: String? = nil, certificate: String? = nil, key: String? = nil) -> CertificateFiles {
                CertificateFiles(
                    authority: authority ?? files.authority,
                    certificate: certificate ?? files.certificate,
                    key: key ?? files.key
                )
            }
            try await Self.expect(with(key: foreign.key), "is not the key of", foreign.key)
            try await Self.expect(with(authority: foreign.authority), "is not from an authority", files.certificate)
            try await Self.expect(with(authority: "/nonexistent"), "no such file", "/nonexistent")
            try await Self.expect(with(certificate: "/nonexistent"), "no such file", "/nonexistent")
            try await Self.expect(with(key: "/nonexistent"), "no such file", "/nonexistent")
            try await Self.expect(with(key: files.certificate), "no private key", files.certificate)
            try await Self.expect(with(certificate: files.key), "no certificate", files.key)
            try await Self.expect(with(authority: files.key), "no certificate", files.key)
            // An authority's own certificate is no process's.
            let own = with(certificate: files.authority, key: scene.path + "/ours/ca.key")
            let facts = Result { try CertificateFacts.read(files.authority) }
            #expect(throws: Never.self) { try facts.get() }
            let checked = try await own.checked()
            #expect(checked.uris == ["varve://cluster/1"])
        }
    }

    @Test func `what has ended or not begun is not good`() async throws {
        try await Self.run { scene in
            let longAgo = Date() - 2 * CertificateAuthority.leafLifetime
            let old = try scene.ours.issue(name: "old", uri: Self.uri, now: longAgo, into: scene.path + "/out")
            try await Self.expect(old, "has ended", old.certificate)
            let tomorrow = Date() + 86_400
            let later = try scene.ours.issue(name: "new", uri: Self.uri, now: tomorrow, into: scene.path + "/out")
            try await Self.expect(later, "is good only from", later.certificate)
        }
    }

    /// How one authority replaces another while all processes go on.
    @Test func `two authorities in one file are both trusted`() async throws {
        try await Self.run { scene in
            let both = scene.path + "/both.pem"
            let text = try [scene.files.authority, scene.foreign.authority].map {
                try String(contentsOfFile: $0, encoding: .utf8)
            }
            try Data((text[0] + "\n" + text[1]).utf8).write(to: URL(fileURLWithPath: both))
            for files in [scene.files, scene.foreign] {
                let facts = try await CertificateFiles(
                    authority: both,
                    certificate: files.certificate,
                    key: files.key
                ).checked()
                #expect(facts.uris == [Self.uri])
            }
        }
    }
}
