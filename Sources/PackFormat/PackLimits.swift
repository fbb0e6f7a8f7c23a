// SPDX-License-Identifier: Apache-2.0

/// What a pack may be at most; larger studies have several.
public enum PackLimits {
    /// Instances of one pack.
    public static let maximumInstanceCount = 1 << 17
    /// Bytes of one instance: as many as a record may have.
    public static let maximumInstanceByteCount: UInt64 = 1 << 40
    /// Bytes of the manifest, which readers hold in memory.
    public static let maximumManifestByteCount = 256 << 20
    /// Bytes of the record metadata of one instance: as many as a record may have.
    public static let maximumMetadataByteCount = 16 << 20
    /// Amendments of one instance.
    public static let maximumAmendmentCount = 1 << 12
    /// Parts that a study is spread over.
    public static let maximumPartCount = 1 << 16
    /// Objects and arrays within each other in the manifest, fields of later versions included.
    static let maximumNesting = 16
    /// Bytes behind the manifest: what the largest number of instances may need.
    static let maximumDirectoryByteCount: UInt64 = 512 * UInt64(maximumInstanceCount + 1)
}
