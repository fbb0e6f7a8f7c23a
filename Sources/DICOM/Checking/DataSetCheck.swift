// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Says what is wrong with a file or a data set, precisely, and goes on where it can.
///
/// Pure; holds no more than `Options` allow. Nothing valid gives an error. Whether a fault is a reason to refuse is the
/// caller's affair: readers of this module are more lenient than the standard, see `DataSetParser`.
public enum DataSetCheck {
    public struct Options: Hashable, Sendable {
        public var maximumFindingCount = 500
        /// So that one fault in ten thousand items leaves room for others.
        public var maximumFindingsPerRule = 20
        public var limits = ReadLimits.standard

        public static let standard = Options()

        public init() {}
    }

    /// Checks a file (PS3.10): prefix, file meta information and data set.
    public static func check(file: ByteBuffer, options: Options = .standard) -> CheckReport {
        var check = FileCheck(options: options)
        return check.run(file)
    }

    /// Checks the bytes of a data set without file meta information.
    public static func check(
        _ bytes: ByteBuffer,
        transferSyntax: TransferSyntax,
        options: Options = .standard
    ) -> CheckReport {
        var walk = DataSetWalk(transferSyntax: transferSyntax, options: options)
        walk.run(bytes)
        return walk.report
    }

    /// Checks what a reader made of a data set: whole, or only up to Pixel Data, of which the place is enough.
    ///
    /// Finds the same as a check of the bytes but for delimiters and encodings that the reader put right.
    public static func check(
        _ result: ReadResult,
        transferSyntax: TransferSyntax,
        options: Options = .standard
    ) -> CheckReport {
        var walk = DataSetWalk(transferSyntax: transferSyntax, options: options)
        walk.run(result)
        return walk.report
    }
}
