// SPDX-License-Identifier: Apache-2.0

public import Crypto
public import Foundation
public import X509

/// A cluster's own authority: makes the certificates by which its processes know each other.
public struct CertificateAuthority: Sendable {
    /// How long an authority's certificate is good.
    public static let authorityLifetime: TimeInterval = 10 * 365 * 86_400
    /// How long a process's certificate is good.
    public static let leafLifetime: TimeInterval = 365 * 86_400
    /// Clocks may differ by so much.
    private static let clockSlack: TimeInterval = 3600

    /// The authority's certificate.
    public let certificate: Certificate
    private let key: P256.Signing.PrivateKey

    /// An authority as it was kept.
    public init(certificate: Certificate, key: P256.Signing.PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    /// Makes a new authority for the cluster of that name.
    public init(cluster: String, now: Date) throws {
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName {
            OrganizationName("Varve")
            CommonName("cluster \(cluster)")
        }
        self.key = key
        self.certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: now - Self.clockSlack,
            notValidAfter: now + Self.authorityLifetime,
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
            },
            issuerPrivateKey: Certificate.PrivateKey(key)
        )
    }

    /// The private key, PEM.
    public var keyPEM: String { key.pemRepresentation }

    /// A certificate and its key for the process that the URI names.
    public func issue(uri: String, now: Date, lifetime: TimeInterval = Self.leafLifetime) throws -> IssuedCertificate {
        let leafKey = P256.Signing.PrivateKey()
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(leafKey.publicKey),
            notValidBefore: now - Self.clockSlack,
            notValidAfter: now + lifetime,
            issuer: self.certificate.subject,
            subject: try DistinguishedName { OrganizationName("Varve") },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                SubjectAlternativeNames([.uniformResourceIdentifier(uri)])
            },
            issuerPrivateKey: Certificate.PrivateKey(key)
        )
        return IssuedCertificate(certificate: certificate, keyPEM: leafKey.pemRepresentation)
    }
}

/// A certificate with the key that belongs to it.
public struct IssuedCertificate: Sendable {
    public let certificate: Certificate
    public let keyPEM: String
}
