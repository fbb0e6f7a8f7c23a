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

    /// Makes a new authority for the cluster that the URI names.
    public init(uri: String, now: Date) throws {
        let key = P256.Signing.PrivateKey()
        let subject = try DistinguishedName {
            OrganizationName("Varve")
            CommonName(uri)
        }
        self.key = key
        self.certificate = try Self.certificate(subject: subject, uri: uri, key: key, now: now)
    }

    /// The same authority with a certificate that lasts longer: what it has issued stays good.
    func renewed(now: Date) throws -> CertificateAuthority {
        let certificate = try Self.certificate(subject: certificate.subject, uri: uri, key: key, now: now)
        return CertificateAuthority(certificate: certificate, key: key)
    }

    private static func certificate(
        subject: DistinguishedName,
        uri: String?,
        key: P256.Signing.PrivateKey,
        now: Date
    ) throws -> Certificate {
        try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(key.publicKey),
            notValidBefore: now - Self.clockSlack,
            notValidAfter: now + Self.authorityLifetime,
            issuer: subject,
            subject: subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                if let uri { SubjectAlternativeNames([.uniformResourceIdentifier(uri)]) }
            },
            issuerPrivateKey: Certificate.PrivateKey(key)
        )
    }

    /// The private key, PEM.
    public var keyPEM: String { key.pemRepresentation }

    /// The name of its cluster; `nil` when the certificate has none or several.
    public var uri: String? {
        let uris = certificate.uris
        return uris.count == 1 ? uris[0] : nil
    }

    /// Whether certificate and key belong together.
    var isWhole: Bool { certificate.publicKey == Certificate.PublicKey(key.publicKey) }

    /// A certificate and its key for the process that the URI names; it ends with the authority's at the latest.
    public func issue(uri: String, now: Date, lifetime: TimeInterval = Self.leafLifetime) throws -> IssuedCertificate {
        let leafKey = P256.Signing.PrivateKey()
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PublicKey(leafKey.publicKey),
            notValidBefore: now - Self.clockSlack,
            notValidAfter: min(now + lifetime, self.certificate.notValidAfter),
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

extension Certificate {
    /// The URIs among its subject alternative names.
    var uris: [String] {
        // Names that cannot be read are none.
        guard let names = try? extensions.subjectAlternativeNames else { return [] }
        return names.compactMap { name in
            if case .uniformResourceIdentifier(let uri) = name { uri } else { nil }
        }
    }
}
