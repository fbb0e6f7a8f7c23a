// SPDX-License-Identifier: Apache-2.0

/// Bounds on what a reader builds from bytes of a stranger; reaching one is `DICOMError.Code.limitExceeded`.
public struct ReadLimits: Hashable, Sendable {
    /// Sequences within sequences.
    ///
    /// Real data sets stay below 20; the stack is what this protects.
    public var maximumDepth = 64
    /// Elements in the whole data set.
    ///
    /// An element costs some 64 bytes of memory and at least 8 of input.
    public var maximumElementCount = 1_000_000
    /// Items of all sequences and fragments of all encapsulated values together.
    public var maximumItemCount = 1_000_000
    /// Bytes a deflated data set may inflate to.
    public var maximumInflatedByteCount = 1 << 30

    /// Bytes of a JSON text.
    public var maximumJSONByteCount = 1 << 28

    public static let standard = ReadLimits()

    public init() {}
}
