// SPDX-License-Identifier: Apache-2.0

import Crypto
public import Foundation
import SwiftASN1
import X509

/// Keeps a cluster's authority and the certificates of its processes in one directory, as PEM files.
///
/// `ca.pem` and `ca.key`, and `NAME.pem` and `NAME.key` for each process; keys are readable by their owner alone. For one
/// process at a time. Its calls block.
public struct CertificateDirectory {
    /// A certificate that ends within this time is made anew.
    public static let renewalTime: TimeInterval = 30 * 86_400

    private let path: String
    private let authority: CertificateAuthority

    private init(path: String, authority: CertificateAuthority) {
        self.path = path
        self.authority = authority
    }

    /// The URI of the authority's cluster.
    public var uri: String? { authority.uri }

    /// Opens the directory of an authority.
    ///
    /// - Throws: when there is none, or it is damaged.
    public static func open(_ path: String) throws(CertificateFileError) -> CertificateDirectory {
        guard let authority = try readAuthority(path) else {
            throw CertificateFileError("there is no authority in \(path): no ca.pem and ca.key")
        }
        return CertificateDirectory(path: path, authority: authority)
    }

    /// Makes a new authority for the cluster that `uri` names, and the directory when it is not there.
    ///
    /// - Throws: when the directory has an authority already.
    public static func create(
        _ path: String,
        uri: String,
        now: Date
    ) throws(CertificateFileError)
        -> CertificateDirectory
    {
        try PEMFile.makeDirectory(path)
        guard try readAuthority(path) == nil else {
            throw CertificateFileError("\(path) has an authority already; two in one cluster would not know each other")
        }
        let authority = try attempt("an authority cannot be made") { try CertificateAuthority(uri: uri, now: now) }
        let directory = CertificateDirectory(path: path, authority: authority)
        // The key first: without its certificate it is nothing yet.
        try PEMFile(path + "/ca.key").replace(with: authority.keyPEM, mode: 0o600)
        try directory.writeAuthority()
        return directory
    }

    /// Opens the directory, or makes it; an authority that ends soon gets a new certificate for the same key.
    ///
    /// - Throws: also when it belongs to another cluster.
    public static func openOrCreate(
        _ path: String,
        uri: String,
        now: Date
    ) throws(CertificateFileError)
        -> CertificateDirectory
    {
        guard let authority = try readAuthority(path) else { return try create(path, uri: uri, now: now) }
        guard authority.uri == uri else {
            throw CertificateFileError(
                "the authority in \(path) is \(authority.uri ?? "nobody")'s, not \(uri)'s: remove \(path) to make another"
            )
        }
        let lifetime = CertificateAuthority.leafLifetime + renewalTime
        guard now + lifetime > authority.certificate.notValidAfter else {
            return CertificateDirectory(path: path, authority: authority)
        }
        let renewed = try attempt("the authority in \(path) cannot be renewed") { try authority.renewed(now: now) }
        let directory = CertificateDirectory(path: path, authority: renewed)
        try directory.writeAuthority()
        return directory
    }

    /// The files of the process `name`, whose certificate says `uri`: those that are there, or new ones when they are
    /// missing, damaged, another's or end soon.
    public func files(name: String, uri: String, now: Date) throws(CertificateFileError) -> CertificateFiles {
        let files = CertificateFiles(in: path, name: name)
        return try isGood(files, uri: uri, now: now) ? files : try issue(name: name, uri: uri, now: now, into: path)
    }

    /// Makes a certificate for the process `name` and writes it, its key and the authority's certificate into `directory`,
    /// over what is there.
    public func issue(
        name: String,
        uri: String,
        now: Date,
        lifetime: TimeInterval = CertificateAuthority.leafLifetime,
        into directory: String
    ) throws(CertificateFileError) -> CertificateFiles {
        guard now < authority.certificate.notValidAfter else {
            throw CertificateFileError("the authority in \(path) has ended: make a new one")
        }
        try PEMFile.makeDirectory(directory)
        let files = CertificateFiles(in: directory, name: name)
        let (keyText, certificateText) = try Self.attempt("a certificate for \(name) cannot be made") {
            let issued = try authority.issue(uri: uri, now: now, lifetime: lifetime)
            return (issued.keyPEM, try issued.certificate.serializeAsPEM().pemString)
        }
        try PEMFile(files.key).replace(with: keyText, mode: 0o600)
        try PEMFile(files.certificate).replace(with: certificateText, mode: 0o644)
        if directory != path { try writeAuthority(in: directory) }
        return files
    }

    /// Whether certificate and key are there, belong together and to the authority, say the URI, and last for a while.
    private func isGood(_ files: CertificateFiles, uri: String, now: Date) throws(CertificateFileError) -> Bool {
        guard let certificateText = try PEMFile(files.certificate).text(), let keyText = try PEMFile(files.key).text()
        else { return false }
        // What cannot be read as a certificate is made anew, like one that is not there.
        guard let certificate = try? Certificate(pemEncoded: certificateText),
            let key = try? P256.Signing.PrivateKey(pemRepresentation: keyText)
        else { return false }
        return certificate.publicKey == Certificate.PublicKey(key.publicKey)
            && authority.certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
            && certificate.uris == [uri]
            && certificate.notValidBefore <= now && now + Self.renewalTime < certificate.notValidAfter
    }

    private func writeAuthority(in directory: String? = nil) throws(CertificateFileError) {
        let text = try Self.attempt("the authority's certificate cannot be written") {
            try authority.certificate.serializeAsPEM().pemString
        }
        try PEMFile((directory ?? path) + "/ca.pem").replace(with: text, mode: 0o644)
    }

    private static func attempt<Value>(
        _ failure: String,
        _ body: () throws -> Value
    ) throws(CertificateFileError) -> Value {
        do {
            return try body()
        } catch {
            throw CertificateFileError("\(failure): \(error)")
        }
    }

    /// The authority that is kept there; `nil` when there is none yet.
    private static func readAuthority(_ path: String) throws(CertificateFileError) -> CertificateAuthority? {
        let (certificate, key) = (path + "/ca.pem", path + "/ca.key")
        // A key without a certificate is what a crash while it was made leaves behind.
        guard let certificateText = try PEMFile(certificate).text() else { return nil }
        guard let keyText = try PEMFile(key).text() else {
            throw CertificateFileError("\(key) is missing beside \(certificate): restore it, or remove \(path)")
        }
        guard let read = try? Certificate(pemEncoded: certificateText),
            let readKey = try? P256.Signing.PrivateKey(pemRepresentation: keyText)
        else { throw CertificateFileError("\(certificate) or \(key) is damaged: restore them, or remove \(path)") }
        let authority = CertificateAuthority(certificate: read, key: readKey)
        guard authority.isWhole else {
            throw CertificateFileError("\(key) is not the key of \(certificate): restore them, or remove \(path)")
        }
        return authority
    }
}
