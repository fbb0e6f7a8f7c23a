// SPDX-License-Identifier: Apache-2.0

import ClusterCertificates
import Foundation
import SwiftASN1
import Testing
import X509

@Suite struct CertificateDirectoryTests {
    private static let uri = "varve://cluster/1/node/2"

    private static func withDirectory(_ body: (String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer {
            // A directory left behind in the temporary folder harms nobody.
            try? FileManager.default.removeItem(atPath: directory)
        }
        try body(directory + "/tls")
    }

    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }

    @Test func `what was made once is kept`() throws {
        try Self.withDirectory { path in
            let now = Date()
            let first = try CertificateDirectory(path: path, cluster: "c", now: now)
            let files = try first.files(name: "a", uri: Self.uri, now: now)
            let before = try [files.authority, files.certificate, files.key].map(Self.text)
            let again = try CertificateDirectory(path: path, cluster: "c", now: now)
            let sameFiles = try again.files(name: "a", uri: Self.uri, now: now + 300 * 86_400)
            let after = try [sameFiles.authority, sameFiles.certificate, sameFiles.key].map(Self.text)
            #expect(after == before)
        }
    }

    @Test func `keys are for their owner alone`() throws {
        try Self.withDirectory { path in
            let directory = try CertificateDirectory(path: path, cluster: "c", now: Date())
            let files = try directory.files(name: "a", uri: Self.uri, now: Date())
            for (file, mode) in [
                (path, 0o700), (path + "/ca.key", 0o600), (files.key, 0o600), (files.certificate, 0o644),
            ] {
                let attributes = try FileManager.default.attributesOfItem(atPath: file)
                #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == mode, "\(file)")
            }
        }
    }

    /// Before it ends, when its name changes, when its key is lost or another's, when it is damaged.
    @Test func `a certificate that will not do is made anew`() throws {
        try Self.withDirectory { path in
            let now = Date()
            let directory = try CertificateDirectory(path: path, cluster: "c", now: now)
            let other = try directory.files(name: "b", uri: Self.uri, now: now)
            let spoilers: [(CertificateDirectory.Files) throws -> Date] = [
                { _ in now + CertificateAuthority.leafLifetime - CertificateDirectory.renewalTime + 1 },
                { files in
                    try FileManager.default.removeItem(atPath: files.key)
                    return now
                },
                { files in
                    try FileManager.default.removeItem(atPath: files.key)
                    try FileManager.default.copyItem(atPath: other.key, toPath: files.key)
                    return now
                },
                { files in
                    try Data("nothing".utf8).write(to: URL(fileURLWithPath: files.certificate))
                    return now
                },
            ]
            for spoil in spoilers {
                let files = try directory.files(name: "a", uri: Self.uri, now: now)
                let before = try Self.text(files.certificate)
                let later = try spoil(files)
                let made = try directory.files(name: "a", uri: Self.uri, now: later)
                let after = try Self.text(made.certificate)
                #expect(after != before)
                let certificate = try Certificate(pemEncoded: after)
                #expect(certificate.notValidAfter > later + 300 * 86_400)
            }
            let renamed = try directory.files(name: "a", uri: Self.uri + "x", now: now)
            let names = try #require(
                try Certificate(pemEncoded: Self.text(renamed.certificate)).extensions.subjectAlternativeNames
            )
            #expect(names.contains(.uniformResourceIdentifier(Self.uri + "x")))
        }
    }

    @Test func `a damaged authority is an error, never a new authority`() throws {
        try Self.withDirectory { path in
            _ = try CertificateDirectory(path: path, cluster: "c", now: Date())
            try Data("nothing".utf8).write(to: URL(fileURLWithPath: path + "/ca.pem"))
            let error = try #require(throws: CertificateFileError.self) {
                _ = try CertificateDirectory(path: path, cluster: "c", now: Date())
            }
            #expect(error.description.contains(path))
        }
    }

    @Test func `a directory that cannot be made is an error`() throws {
        let error = try #require(throws: CertificateFileError.self) {
            _ = try CertificateDirectory(path: "/nonexistent/x", cluster: "c", now: Date())
        }
        #expect(error.description.contains("/nonexistent/x"))
    }
}
