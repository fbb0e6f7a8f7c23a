// SPDX-License-Identifier: Apache-2.0

import DICOM
import Foundation
import NIOCore

/// What reading the header of a file costs: each file given is read up to Pixel Data, from memory, again and again.
///
/// Prints a line a file: microseconds (the fastest of the passes), bytes allocated by one reading of the header, by one
/// reading of the whole, the file's byte count, its path. `Benchmarks/lib/parse_dcmtk.cpp` does the same with DCMTK.
@main
enum ParseBenchmark {
    static func main() throws {
        let passCount = Int(CommandLine.arguments.dropFirst().first ?? "") ?? 5
        for path in CommandLine.arguments.dropFirst(2) {
            let file = ByteBuffer(bytes: try Data(contentsOf: URL(fileURLWithPath: path)))
            do throws(DICOMError) {
                let nanoseconds = try self.time(file, passCount: passCount)
                let header = try self.allocatedByteCount { () throws(DICOMError) in try self.readHeader(file) }
                // Of a file that is cut short the header can be read and the whole cannot.
                let whole = try? self.allocatedByteCount { () throws(DICOMError) in try self.readWhole(file) }
                let text = whole.map { String($0) } ?? "-"
                print(Double(nanoseconds) / 1_000, header, text, file.readableBytes, path, separator: "\t")
            } catch {
                print("-", "-", "-", file.readableBytes, path, separator: "\t")
            }
        }
    }

    /// Nanoseconds a reading, of the fastest pass.
    private static func time(_ file: ByteBuffer, passCount: Int) throws(DICOMError) -> Int64 {
        let clock = ContinuousClock()
        let readingsInPass = 20
        var fastest = Int64.max
        for _ in 0..<passCount {
            let start = clock.now
            for _ in 0..<readingsInPass { _ = try self.readHeader(file) }
            let (seconds, attoseconds) = (clock.now - start).components
            fastest = min(fastest, (seconds * 1_000_000_000 + attoseconds / 1_000_000_000) / Int64(readingsInPass))
        }
        return fastest
    }

    @inline(never)
    private static func readHeader(_ file: ByteBuffer) throws(DICOMError) -> Int {
        let (syntax, dataSet) = try self.open(file)
        return try DataSetReader.readHeader(dataSet, transferSyntax: syntax).dataSet.count
    }

    @inline(never)
    private static func readWhole(_ file: ByteBuffer) throws(DICOMError) -> Int {
        let (syntax, dataSet) = try self.open(file)
        return try DataSetReader.read(dataSet, transferSyntax: syntax).dataSet.count
    }

    private static func open(_ file: ByteBuffer) throws(DICOMError) -> (TransferSyntax, ByteBuffer) {
        let header = try Part10.readHeader(file)
        guard let syntax = header.transferSyntax else {
            throw DICOMError(.unsupportedTransferSyntax, "the file names no transfer syntax that is known")
        }
        // Not a slice: that would copy beyond 16 MiB.
        var dataSet = file
        dataSet.moveReaderIndex(forwardBy: header.dataSetOffset)
        return (syntax, dataSet)
    }

    /// Bytes that `work` allocates, freed or not; 0 without `count_allocations.c` preloaded.
    private static func allocatedByteCount(_ work: () throws(DICOMError) -> Int) throws(DICOMError) -> Int {
        guard let symbol = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "benchmark_allocated_bytes") else {
            _ = try work()
            return 0
        }
        typealias Counter = @convention(c) () -> Int
        let counter = unsafeBitCast(symbol, to: Counter.self)
        let before = counter()
        _ = try work()
        return counter() - before
    }
}
