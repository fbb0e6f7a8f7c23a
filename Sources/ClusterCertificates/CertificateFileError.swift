// SPDX-License-Identifier: Apache-2.0

/// Why certificates cannot be made, read or used: what, where, and what to do about it.
public struct CertificateFileError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
