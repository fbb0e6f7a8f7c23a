// SPDX-License-Identifier: Apache-2.0

import DICOM
import Foundation
import Ingest
import NIOCore
import PixelCodecs

/// What the codec alone costs: every frame of the DICOM files given is encoded with JPEG-LS and proven, on one thread.
///
/// With `frames` first it is one side of `Benchmarks/codecs.sh` (``FrameContest``). Otherwise it
/// prints milliseconds a frame and the compression ratio: the floor under any ingest that compresses with proof.
/// Build it with `deploy/build.sh -c release --product codec-benchmark`, which links the CharLS that Varve links.
@main
enum CodecBenchmark {
    static func main() throws {
        if CommandLine.arguments.dropFirst().first == "frames" {
            return try FrameContest.run(Array(CommandLine.arguments.dropFirst(2)))
        }
        var encodeTime = Duration.zero
        var proveTime = Duration.zero
        var frameCount = 0
        var nativeByteCount = 0
        var encodedByteCount = 0
        let scratch = CodecScratch()
        let clock = ContinuousClock()
        for path in files(CommandLine.arguments.dropFirst()) {
            let file = ByteBuffer(bytes: try Data(contentsOf: URL(fileURLWithPath: path)))
            guard let (plan, frames) = try plan(for: file) else { continue }
            for frame in frames {
                let start = clock.now
                let encoded = try plan.codec.encode(frame, format: plan.format, scratch: scratch)
                let middle = clock.now
                guard try plan.codec.prove(encoded, equals: frame, format: plan.format, scratch: scratch) else {
                    throw BenchmarkError(description: "\(path): a frame does not decode to what was encoded")
                }
                encodeTime += middle - start
                proveTime += clock.now - middle
                frameCount += 1
                nativeByteCount += frame.readableBytes
                encodedByteCount += encoded.readableBytes
            }
        }
        guard frameCount > 0 else { throw BenchmarkError(description: "no file with frames that JPEG-LS can carry") }
        let summary = String(
            format: "%d frames: encode %.2f ms, prove %.2f ms a frame, ratio %.2f",
            frameCount,
            milliseconds(encodeTime) / Double(frameCount),
            milliseconds(proveTime) / Double(frameCount),
            Double(nativeByteCount) / Double(encodedByteCount)
        )
        print(summary)
    }

    private static func plan(for file: ByteBuffer) throws -> (CompressionPlan, [ByteBuffer])? {
        let header = try Part10.readHeader(file)
        guard let syntax = header.transferSyntax,
            let dataSet = file.getSlice(
                at: file.readerIndex + header.dataSetOffset,
                length: file.readableBytes - header.dataSetOffset
            )
        else { return nil }
        let instance = try ReceivedInstance(
            head: dataSet,
            transferSyntax: syntax,
            expectedSOPClass: "",
            expectedSOPInstance: ""
        )
        guard case .compress(let plan) = CompressionPlan.decide(for: instance, codecClass: .balanced),
            let frames = plan.frames(of: instance)
        else { return nil }
        return (plan, frames)
    }

    private static func files(_ paths: some Sequence<String>) -> [String] {
        paths.flatMap { path -> [String] in
            guard let names = FileManager.default.enumerator(atPath: path) else { return [path] }
            return names.compactMap { $0 as? String }.filter { $0.hasSuffix(".dcm") }.sorted().map { path + "/" + $0 }
        }
    }

    private static func milliseconds(_ duration: Duration) -> Double {
        let (seconds, attoseconds) = duration.components
        return Double(seconds) * 1000 + Double(attoseconds) / 1e15
    }
}

struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
}
