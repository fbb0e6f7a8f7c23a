// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

/// Writes seeds as files, one each, as libFuzzer wants them.
///
/// Of the files it is given, `.hex` are inputs of the target, all others DICOM files that its seeds are made from.
enum SeedFolder {
    /// What is longer helps the mutator little and slows it down.
    private static let maximumByteCount = 10_240
    /// Of each real file: its head has all that the targets read.
    private static let headByteCount = 16_384

    static func write(_ target: FuzzTarget, to folder: String, files: [String]) {
        let inputs = files.filter { $0.hasSuffix(".hex") }.map { self.decodeHexadecimal(self.read($0)) }
        let heads = files.filter { !$0.hasSuffix(".hex") }.map { self.read($0) }
        for (index, seed) in (inputs + target.seeds(heads)).enumerated()
        where seed.readableBytes <= self.maximumByteCount {
            self.write(seed, to: "\(folder)/seed-\(index)")
        }
    }

    /// Digits with lines of comment: how inputs are kept in the repository.
    private static func decodeHexadecimal(_ text: ByteBuffer) -> ByteBuffer {
        let lines = String(buffer: text).split(separator: "\n").filter { !$0.hasPrefix("#") }
        return ByteBuffer(hexadecimalDigitsOf: lines.joined())
    }

    private static func read(_ path: String) -> ByteBuffer {
        guard let file = fopen(path, "rb") else { FuzzProgram.quit("\(path) cannot be read") }
        defer { fclose(file) }
        var buffer = ByteBuffer()
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: self.headByteCount) { target in
            fread(target.baseAddress, 1, self.headByteCount, file)
        }
        return buffer
    }

    private static func write(_ bytes: ByteBuffer, to path: String) {
        guard let file = fopen(path, "wb") else { FuzzProgram.quit("\(path) cannot be written") }
        defer { fclose(file) }
        _ = bytes.withUnsafeReadableBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    }
}
