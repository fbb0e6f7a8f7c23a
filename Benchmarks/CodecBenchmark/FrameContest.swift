// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOConcurrencyHelpers
import NIOCore
import PixelCodecs

/// Varve's side of `Benchmarks/codecs.sh`: every frame of a file is encoded and proven, as ingest does it, on threads.
///
/// `Benchmarks/lib/bare_codecs.cpp` does the same with nothing but the libraries, reads the same files and prints the
/// same line: frames, encode ms and prove ms a frame (mean over threads), wall ms a frame, native and encoded bytes.
enum FrameContest {
    /// Arguments: codec, threads, rounds, file.
    static func run(_ arguments: [String]) throws {
        guard arguments.count == 4, let codec = codecs[arguments[0]], let threadCount = Int(arguments[1]),
            let roundCount = Int(arguments[2]), threadCount > 0, roundCount > 0
        else {
            throw BenchmarkError(
                description: "usage: codec-benchmark frames jpeg-ls|jpeg2000|htj2k THREADS ROUNDS FILE"
            )
        }
        let (format, frames) = try read(arguments[3])
        let options = PixelCodec.EncodingOptions(
            usesReversibleColourTransform: codec != .jpegLS && format.photometric == .rgb
        )
        // One round to warm up, not counted.
        _ = try race(codec, options, format, frames, threadCount: threadCount, roundCount: 1)
        let start = ContinuousClock.now
        let totals = try race(codec, options, format, frames, threadCount: threadCount, roundCount: roundCount)
        let wall = milliseconds(ContinuousClock.now - start)
        let count = Double(totals.frameCount)
        print(
            String(
                format: "%d %.3f %.3f %.3f %d %d",
                totals.frameCount,
                milliseconds(totals.encode) / count,
                milliseconds(totals.prove) / count,
                wall / count,
                format.frameByteCount * totals.frameCount,
                totals.encodedByteCount
            )
        )
    }

    private static let codecs: [String: PixelCodec] = ["jpeg-ls": .jpegLS, "jpeg2000": .jpeg2000, "htj2k": .htj2k]

    private struct Totals {
        var frameCount = 0
        var encodedByteCount = 0
        var encode = Duration.zero
        var prove = Duration.zero
    }

    /// The threads take frames in turn until all rounds are done.
    private static func race(
        _ codec: PixelCodec,
        _ options: PixelCodec.EncodingOptions,
        _ format: PixelFormat,
        _ frames: [ByteBuffer],
        threadCount: Int,
        roundCount: Int
    ) throws -> Totals {
        let totals = NIOLockedValueBox(Totals())
        let failure = NIOLockedValueBox<String?>(nil)
        let done = DispatchSemaphore(value: 0)
        for number in 0..<threadCount {
            let thread = Thread {
                defer { done.signal() }
                do {
                    let scratch = CodecScratch()
                    var mine = Totals()
                    for index in stride(from: number, to: frames.count * roundCount, by: threadCount) {
                        let frame = frames[index % frames.count]
                        let start = ContinuousClock.now
                        let encoded = try codec.encode(frame, format: format, options: options, scratch: scratch)
                        let middle = ContinuousClock.now
                        let isEqual = try codec.proveFresh(
                            encoded,
                            equals: frame,
                            format: format,
                            options: options,
                            scratch: scratch
                        )
                        guard isEqual else { throw BenchmarkError(description: "a frame decodes to something else") }
                        mine.prove += ContinuousClock.now - middle
                        mine.encode += middle - start
                        mine.frameCount += 1
                        mine.encodedByteCount += encoded.readableBytes
                    }
                    totals.withLockedValue {
                        $0.frameCount += mine.frameCount
                        $0.encodedByteCount += mine.encodedByteCount
                        $0.encode += mine.encode
                        $0.prove += mine.prove
                    }
                } catch {
                    failure.withLockedValue { $0 = "\(error)" }
                }
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
        for _ in 0..<threadCount { done.wait() }
        if let text = failure.withLockedValue({ $0 }) { throw BenchmarkError(description: text) }
        return totals.withLockedValue { $0 }
    }

    /// One line, `rows columns samples allocated stored signed`, and the frames behind it.
    private static func read(_ path: String) throws -> (PixelFormat, [ByteBuffer]) {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        guard let end = data.firstIndex(of: 10) else { throw BenchmarkError(description: "\(path): no header") }
        let numbers = String(decoding: data[..<end], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 6 else { throw BenchmarkError(description: "\(path): not six numbers in its header") }
        let format = PixelFormat(
            rows: numbers[0],
            columns: numbers[1],
            samplesPerPixel: numbers[2],
            bitsAllocated: numbers[3],
            bitsStored: numbers[4],
            isSigned: numbers[5] == 1,
            photometric: numbers[2] == 3 ? .rgb : .monochrome
        )
        let size = format.frameByteCount
        let frames = stride(from: end + 1, to: data.count - size + 1, by: size).map {
            ByteBuffer(bytes: data[$0..<$0 + size])
        }
        guard !frames.isEmpty else { throw BenchmarkError(description: "\(path): no frame") }
        return (format, frames)
    }

    private static func milliseconds(_ duration: Duration) -> Double {
        let (seconds, attoseconds) = duration.components
        return Double(seconds) * 1000 + Double(attoseconds) / 1e15
    }
}
