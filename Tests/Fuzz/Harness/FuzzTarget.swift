// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// One fuzz target: what is done with arbitrary bytes, within which bounds, and what to start from.
///
/// `run` finds a fault by trapping (`FuzzTarget.check`), by taking too long or by taking too much memory; errors thrown
/// by the code under test are what the code is there for and no fault.
public struct FuzzTarget: Sendable {
    public let name: String
    /// The longest input that the mutator makes.
    public let maximumByteCount: Int
    /// Seconds after which one input counts as a hang.
    public let timeoutSeconds: Int
    /// Memory of the whole process, and the most that one allocation may take.
    public let maximumMegabytes: Int
    /// Inputs made by our own encoders, and by taking the heads of real files where there are any.
    public let seeds: @Sendable (_ files: [ByteBuffer]) -> [ByteBuffer]
    /// Must not keep the buffer: its memory is used again.
    public let run: @Sendable (_ input: ByteBuffer) -> Void

    public init(
        _ name: String,
        maximumByteCount: Int = 4_096,
        timeoutSeconds: Int = 2,
        maximumMegabytes: Int = 256,
        seeds: @escaping @Sendable (_ files: [ByteBuffer]) -> [ByteBuffer],
        run: @escaping @Sendable (_ input: ByteBuffer) -> Void
    ) {
        self.name = name
        self.maximumByteCount = maximumByteCount
        self.timeoutSeconds = timeoutSeconds
        self.maximumMegabytes = maximumMegabytes
        self.seeds = seeds
        self.run = run
    }

    /// A finding when `condition` is false.
    @inline(__always)
    public static func check(_ condition: Bool, _ sentence: @autoclosure () -> String) {
        if !condition { self.fail(sentence()) }
    }

    /// A finding.
    @inline(never)
    public static func fail(_ sentence: String) -> Never {
        fatalError("finding: \(sentence)")
    }
}

extension ByteBuffer {
    /// The bytes as hexadecimal digits, for findings.
    public var hexadecimal: String {
        self.readableBytesView.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Takes one byte off; 0 at the end.
    public mutating func takeByte() -> UInt8 {
        self.readInteger(as: UInt8.self) ?? 0
    }

    /// The bytes of a text in hexadecimal digits; everything else in it is ignored.
    public init(hexadecimalDigitsOf text: String) {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        self.init()
        for index in stride(from: 0, to: digits.count - 1, by: 2) {
            self.writeInteger(UInt8(digits[index] << 4 | digits[index + 1]))
        }
    }
}
