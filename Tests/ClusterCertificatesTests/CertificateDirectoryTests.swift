// SPDX-License-Identifier: Apache-2.0

import ClusterCertificates
import Foundation
import SwiftASN1
import Testing
import X509

@Suite struct CertificateDirectoryTests {
    private static let uri = "varve://cluster/1/storage/a"
    private static let cluster = "varve://cluster/1"

    private static func open(_ path: String, now: Date = Date()) throws -> CertificateDirectory {
        try CertificateDirectory.openOrCreate(path, uri: cluster, now: now)
    }

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
            let first = try Self.open(path, now: now)
            let files = try first.files(name: "a", uri: Self.uri, now: now)
            let before = try [files.authority, files.certificate, files.key].map(Self.text)
            let again = try Self.open(path, now: now)
            let sameFiles = try again.files(name: "a", uri: Self.uri, now: now + 300 * 86_400)
            let after = try [sameFiles.authority, sameFiles.certificate, sameFiles.key].map(Self.text)
            #expect(after == before)
        }
    }

    @Test func `keys are for their owner alone`() throws {
        try Self.withDirectory { path in
            let directory = try Self.open(path)
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
            let directory = try Self.open(path, now: now)
            let other = try directory.files(name: "b", uri: Self.uri, now: now)
            let spoilers: [(CertificateFiles) throws -> Date] = [
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

    /// A new one would lock out every process that trusts the old one.
    @Test(arguments: ["ca.pem damaged", "ca.key damaged", "ca.key missing", "ca.key another's"])
    func `a damaged authority is an error, never a new authority`(damage: String) throws {
        try Self.withDirectory { path in
            _ = try Self.open(path)
            let before = try Self.text(path + "/ca.pem")
            let key = URL(fileURLWithPath: path + "/ca.key")
            switch damage {
            case "ca.pem damaged": try Data("nothing".utf8).write(to: URL(fileURLWithPath: path + "/ca.pem"))
            case "ca.key damaged": try Data("nothing".utf8).write(to: key)
            case "ca.key missing": try FileManager.default.removeItem(at: key)
            default:
                _ = try CertificateDirectory.create(path + "/other", uri: Self.cluster, now: Date())
                try Data(contentsOf: URL(fileURLWithPath: path + "/other/ca.key")).write(to: key)
            }
            for attempt in [{ _ = try Self.open(path) }, { _ = try CertificateDirectory.open(path) }] {
                let error = try #require(throws: CertificateFileError.self) { try attempt() }
                #expect(error.description.contains(path))
            }
            if damage != "ca.pem damaged" {
                let after = try Self.text(path + "/ca.pem")
                #expect(after == before)
            }
        }
    }

    @Test func `a cluster has one authority`() throws {
        try Self.withDirectory { path in
            #expect(throws: CertificateFileError.self) { _ = try CertificateDirectory.open(path) }
            let made = try CertificateDirectory.create(path, uri: Self.cluster, now: Date())
            #expect(made.uri == Self.cluster)
            #expect(throws: CertificateFileError.self) {
                _ = try CertificateDirectory.create(path, uri: Self.cluster, now: Date())
            }
            let opened = try CertificateDirectory.open(path)
            #expect(opened.uri == Self.cluster)
            let error = try #require(throws: CertificateFileError.self) {
                _ = try CertificateDirectory.openOrCreate(path, uri: Self.cluster + "0", now: Date())
            }
            #expect(error.description.contains(Self.cluster + "0"))
        }
    }

    /// Ten years on: a new certificate for the same key, under which what was issued before stays good.
    @Test func `an authority is renewed before what it issues would end early`() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        defer {
            // A directory left behind in the temporary folder harms nobody.
            try? FileManager.default.removeItem(atPath: directory)
        }
        let nineYearsAgo = Date() - CertificateAuthority.authorityLifetime + 300 * 86_400
        let old = try CertificateDirectory.create(directory, uri: Self.cluster, now: nineYearsAgo)
        let files = try old.issue(name: "a", uri: Self.uri, now: Date(), into: directory)
        let clamped = try await files.checked()
        #expect(clamped.notValidAfter < Date() + 301 * 86_400)
        let before = try Self.text(files.authority)
        let key = try Self.text(directory + "/ca.key")
        _ = try Self.open(directory)
        let after = try Self.text(files.authority)
        let keyAfter = try Self.text(directory + "/ca.key")
        #expect(after != before)
        #expect(keyAfter == key)
        let renewed = try CertificateFacts.read(files.authority)
        #expect(renewed[0].notValidAfter > Date() + 9 * 365 * 86_400)
        #expect(renewed[0].uris == [Self.cluster])
        let facts = try await files.checked()
        #expect(facts == clamped)
    }

    @Test func `a directory that cannot be made is an error`() throws {
        let error = try #require(throws: CertificateFileError.self) { _ = try Self.open("/nonexistent/x") }
        #expect(error.description.contains("/nonexistent/x"))
    }
}
