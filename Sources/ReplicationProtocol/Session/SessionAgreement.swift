// SPDX-License-Identifier: Apache-2.0

/// What the two ends of a connection agreed on in the handshake.
public struct SessionAgreement: Hashable, Sendable {
    public var version: UInt16
    public var features: UInt64
    /// Who the other end is.
    public var peer: HelloIdentity
    public var limits: SessionLimits

    public init(version: UInt16, features: UInt64, peer: HelloIdentity, limits: SessionLimits) {
        self.version = version
        self.features = features
        self.peer = peer
        self.limits = limits
    }
}
