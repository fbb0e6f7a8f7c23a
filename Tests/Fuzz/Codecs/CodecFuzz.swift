// SPDX-License-Identifier: Apache-2.0

import FuzzHarness
import NIOCore
import PixelCodecs

/// Decoding of streams that nobody vouches for.
///
/// Input: four bytes for the format that the data set claims (see `FormatReader`), then the stream. Every case of
/// `PixelCodec` is a target, named in small letters, with streams of its own encoder as seeds.
enum CodecFuzz {
    static let targets = PixelCodec.allCases.map { codec in
        FuzzTarget(
            "\(codec)".lowercased(),
            timeoutSeconds: 5,
            maximumMegabytes: 1_024,
            seeds: { _ in CodecSeeds.make(codec) },
            run: { input in run(input, codec) }
        )
    }

    // Safety: libFuzzer runs one input at a time, on one thread.
    nonisolated(unsafe) private static let scratch = CodecScratch()

    static func run(_ input: ByteBuffer, _ codec: PixelCodec) {
        var stream = input
        let format = FormatReader.read(&stream)
        guard let frame = try? codec.decode(stream, format: format, scratch: self.scratch) else { return }
        FuzzTarget.check(frame.readableBytes == format.frameByteCount, "a decoded frame of another byte count")
        guard let again = try? codec.decode(stream, format: format, scratch: self.scratch) else {
            FuzzTarget.fail("what was decoded once is not decoded again")
        }
        FuzzTarget.check(again == frame, "what was decoded once decodes to another frame")
        let isProven = try? codec.prove(stream, equals: frame, format: format, scratch: self.scratch)
        FuzzTarget.check(isProven == true, "a decoded frame is not proven equal to itself")
    }
}

/// Encoding of any frame in any format: where a codec does not refuse, decoding gives back every allocated bit.
///
/// Input: one byte for the codec, four for the format, then samples, repeated as far as they are needed.
enum LosslessFuzz {
    static let target = FuzzTarget(
        "lossless",
        maximumByteCount: 1_024,
        timeoutSeconds: 5,
        maximumMegabytes: 1_024,
        seeds: { _ in CodecSeeds.frames },
        run: run
    )

    // Safety: libFuzzer runs one input at a time, on one thread.
    nonisolated(unsafe) private static let scratch = CodecScratch()

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let codecs = PixelCodec.allCases
        let codec = codecs[Int(bytes.takeByte()) % codecs.count]
        let format = FormatReader.read(&bytes)
        guard codec.refusal(of: format) == nil else { return }
        let frame = self.frame(of: bytes, byteCount: format.frameByteCount)
        do throws(CodecError) {
            let encoded = try codec.encode(frame, format: format, scratch: self.scratch)
            let isEqual = try codec.prove(encoded, equals: frame, format: format, scratch: self.scratch)
            FuzzTarget.check(isEqual, "\(codec) loses something of \(format)")
        } catch {
            FuzzTarget.check(error.code == .unsupported, "\(codec) cannot carry \(format): \(error)")
        }
    }

    private static func frame(of samples: ByteBuffer, byteCount: Int) -> ByteBuffer {
        var frame = ByteBuffer()
        frame.reserveCapacity(byteCount)
        let pattern = samples.readableBytes > 0 ? samples : ByteBuffer(bytes: [0])
        while frame.readableBytes < byteCount {
            var piece = pattern
            let count = min(byteCount - frame.readableBytes, pattern.readableBytes)
            if var slice = piece.readSlice(length: count) { frame.writeBuffer(&slice) }
        }
        return frame
    }
}
