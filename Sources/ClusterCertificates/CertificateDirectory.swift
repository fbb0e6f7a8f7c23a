// SPDX-License-Identifier: Apache-2.0

import Crypto
public import Foundation
import Glibc
import SwiftASN1
import X509

/// Keeps a cluster's authority and the certificates of its processes in one directory, as PEM files.
///
/// `ca.pem` and `ca.key`, and `NAME.pem` and `NAME.key` for each process; keys are readable by their owner alone. Made when
/// first asked for, kept afterwards, and made anew in good time before they end. For one process at a time. Blocks.
public struct CertificateDirectory {
    /// A certificate that ends within this time is made anew.
    public static let renewalTime: TimeInterval = 30 * 86_400

    /// Where a process finds what it needs.
    public struct Files: Hashable, Sendable {
        public let authority: String
        public let certificate: String
        public let key: String
    }

    private let path: String
    private let authority: CertificateAuthority

    /// Opens the directory, or makes it with a new authority for the cluster of that name.
    public init(path: String, cluster: String, now: Date) throws(CertificateFileError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw CertificateFileError("cannot make \(path): \(String(cString: strerror(errno)))")
        }
        self.path = path
        let (certificate, key) = (path + "/ca.pem", path + "/ca.key")
        if let certificateText = try Self.read(certificate), let keyText = try Self.read(key) {
            do {
                self.authority = CertificateAuthority(
                    certificate: try Certificate(pemEncoded: certificateText),
                    key: try P256.Signing.PrivateKey(pemRepresentation: keyText)
                )
            } catch {
                throw CertificateFileError(
                    "\(certificate) or \(key) is damaged (\(error)): restore them, or remove \(path)"
                )
            }
            return
        }
        do {
            self.authority = try CertificateAuthority(cluster: cluster, now: now)
            try Self.replace(key, with: authority.keyPEM, mode: 0o600)
            try Self.replace(certificate, with: authority.certificate.serializeAsPEM().pemString, mode: 0o644)
        } catch let error as CertificateFileError {
            throw error
        } catch {
            throw CertificateFileError("an authority cannot be made: \(error)")
        }
    }

    /// The files of the process `name`, whose certificate says `uri`: those that are there, or new ones.
    public func files(name: String, uri: String, now: Date) throws(CertificateFileError) -> Files {
        let files = Files(
            authority: path + "/ca.pem",
            certificate: "\(path)/\(name).pem",
            key: "\(path)/\(name).key"
        )
        if try isGood(files, uri: uri, now: now) { return files }
        do {
            let issued = try authority.issue(uri: uri, now: now)
            // The key first: a certificate whose key is missing would not be replaced.
            try Self.replace(files.key, with: issued.keyPEM, mode: 0o600)
            try Self.replace(files.certificate, with: issued.certificate.serializeAsPEM().pemString, mode: 0o644)
        } catch let error as CertificateFileError {
            throw error
        } catch {
            throw CertificateFileError("a certificate for \(name) cannot be made: \(error)")
        }
        return files
    }

    /// Whether certificate and key are there, belong together and to the authority, say the URI, and last for a while.
    private func isGood(_ files: Files, uri: String, now: Date) throws(CertificateFileError) -> Bool {
        guard let certificateText = try Self.read(files.certificate), let keyText = try Self.read(files.key) else {
            return false
        }
        // What cannot be read as a certificate is made anew, like one that is not there.
        guard let certificate = try? Certificate(pemEncoded: certificateText),
            let key = try? P256.Signing.PrivateKey(pemRepresentation: keyText),
            let names = try? certificate.extensions.subjectAlternativeNames
        else { return false }
        return certificate.publicKey == Certificate.PublicKey(key.publicKey)
            && authority.certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
            && names.contains(.uniformResourceIdentifier(uri))
            && certificate.notValidBefore <= now && now + Self.renewalTime < certificate.notValidAfter
    }

    private static func read(_ path: String) throws(CertificateFileError) -> String? {
        guard let file = fopen(path, "re") else {
            if errno == ENOENT { return nil }
            throw CertificateFileError("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 * 1024)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// Written beside with the mode it is to have, synced, renamed.
    private static func replace(_ path: String, with text: String, mode: mode_t) throws(CertificateFileError) {
        func failure() -> CertificateFileError {
            CertificateFileError("cannot write \(path): \(String(cString: strerror(errno)))")
        }
        let temporary = path + ".new"
        guard unlink(temporary) == 0 || errno == ENOENT else { throw failure() }
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure() }
        let bytes = Array(text.utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else { throw failure() }
    }
}

/// Why certificates cannot be made or read: what, where, and what to do about it.
public struct CertificateFileError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
