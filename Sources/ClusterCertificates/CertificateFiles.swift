// SPDX-License-Identifier: Apache-2.0

public import Foundation
import SwiftASN1
import X509

/// Where a process finds what it needs to show who it is, and to know its peers: PEM files.
public struct CertificateFiles: Hashable, Sendable {
    /// The authorities that are trusted; one, or two while one replaces the other.
    public let authority: String
    /// The process's certificate, then those between it and the authority.
    public let certificate: String
    /// The key of the first certificate, not encrypted.
    public let key: String

    public init(authority: String, certificate: String, key: String) {
        self.authority = authority
        self.certificate = certificate
        self.key = key
    }

    /// The files of `name` as a ``CertificateDirectory`` calls them.
    init(in directory: String, name: String) {
        self.init(
            authority: directory + "/ca.pem",
            certificate: "\(directory)/\(name).pem",
            key: "\(directory)/\(name).key"
        )
    }

    /// What the certificate says, once all three files have been read and found to fit together now.
    ///
    /// - Throws: ``CertificateFileError`` when one cannot be read, the key is another's, the certificate is not of the
    ///   authority, has ended or has not begun, or is not for both ends of a connection. Blocks.
    public func checked() async throws(CertificateFileError) -> CertificateFacts {
        let roots = try Self.certificates(in: authority)
        let chain = try Self.certificates(in: certificate)
        let leaf = chain[0]
        guard let keyText = try PEMFile(key).text() else { throw Self.missing(key) }
        guard let privateKey = try? Certificate.PrivateKey(pemEncoded: keyText) else {
            throw CertificateFileError("\(key) is no private key in PEM, or it is encrypted")
        }
        guard privateKey.publicKey == leaf.publicKey else {
            throw CertificateFileError("\(key) is not the key of \(certificate)")
        }
        let now = Date()
        guard leaf.notValidBefore <= now else {
            throw CertificateFileError("\(certificate) is good only from \(leaf.notValidBefore.formatted(.iso8601)) on")
        }
        guard now < leaf.notValidAfter else {
            throw CertificateFileError("\(certificate) has ended at \(leaf.notValidAfter.formatted(.iso8601))")
        }
        guard Self.isForBothEnds(leaf) else {
            throw CertificateFileError("\(certificate) must be for both serverAuth and clientAuth (extended key usage)")
        }
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) { RFC5280Policy() }
        let result = await verifier.validate(leaf: leaf, intermediates: CertificateStore(chain.dropFirst()))
        guard case .validCertificate = result else {
            throw CertificateFileError("\(certificate) is not from an authority in \(authority)")
        }
        return CertificateFacts(leaf)
    }

    /// The certificates in a file; at least one.
    static func certificates(in path: String) throws(CertificateFileError) -> [Certificate] {
        guard let text = try PEMFile(path).text() else { throw missing(path) }
        let read = Result { try PEMDocument.parseMultiple(pemString: text).map { try Certificate(pemDocument: $0) } }
        guard case .success(let certificates) = read, !certificates.isEmpty else {
            throw CertificateFileError("\(path) holds no certificate in PEM")
        }
        return certificates
    }

    /// A certificate that says nothing about it is for everything (RFC 5280 §4.2.1.12).
    private static func isForBothEnds(_ certificate: Certificate) -> Bool {
        do {
            guard let uses = try certificate.extensions.extendedKeyUsage else { return true }
            return uses.contains(.any) || (uses.contains(.serverAuth) && uses.contains(.clientAuth))
        } catch {
            return false
        }
    }

    private static func missing(_ path: String) -> CertificateFileError {
        CertificateFileError("cannot read \(path): there is no such file")
    }
}

/// What a certificate says of its holder.
public struct CertificateFacts: Hashable, Sendable {
    /// The URIs among its names.
    public let uris: [String]
    public let notValidBefore: Date
    public let notValidAfter: Date

    init(_ certificate: Certificate) {
        self.uris = certificate.uris
        self.notValidBefore = certificate.notValidBefore
        self.notValidAfter = certificate.notValidAfter
    }

    /// The facts of every certificate in a PEM file, unverified.
    ///
    /// Blocks.
    public static func read(_ path: String) throws(CertificateFileError) -> [CertificateFacts] {
        try CertificateFiles.certificates(in: path).map { CertificateFacts($0) }
    }
}
