// SPDX-License-Identifier: Apache-2.0

/// How elements are written: with or without VR, and in which byte order.
public struct DataSetEncoding: Hashable, Sendable {
    public var isExplicitVR: Bool
    public var isBigEndian: Bool

    public init(isExplicitVR: Bool, isBigEndian: Bool) {
        self.isExplicitVR = isExplicitVR
        self.isBigEndian = isBigEndian
    }

    public static let implicitLittleEndian = Self(isExplicitVR: false, isBigEndian: false)
    public static let explicitLittleEndian = Self(isExplicitVR: true, isBigEndian: false)
    public static let explicitBigEndian = Self(isExplicitVR: true, isBigEndian: true)
}
