// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import Testing

/// All candidates are tried, the smallest wins, refusals are named.
@Suite struct CodecTrialTests {
    static let transform = PixelCodec.EncodingOptions(usesReversibleColourTransform: true)
    static let all = [PixelCodec.jpegLS, .jpeg2000, .htj2k].map { CodecTrial.Candidate($0) }

    @Test("the bytes of each candidate, over all frames")
    func byteCounts() throws {
        let format = PixelFormat(rows: 32, columns: 64, bitsAllocated: 16, bitsStored: 12)
        let frames = [format.makeFrame(.smooth), format.makeFrame(.zero), format.makeFrame(.smooth, stream: 2)]
        let trial = try CodecTrial(frames: frames, format: format, candidates: Self.all)
        #expect(trial.nativeByteCount == 3 * 32 * 64 * 2)
        for (outcome, codec) in zip(trial.outcomes, [PixelCodec.jpegLS, .jpeg2000, .htj2k]) {
            let byteCount = try frames.reduce(0) { try $0 + codec.encode($1, format: format).readableBytes }
            #expect(outcome.candidate == CodecTrial.Candidate(codec))
            // HTJ2K streams of one frame differ by some bytes (docs/decisions/0010).
            if codec == .htj2k {
                #expect(try #require(outcome.byteCount) > 0)
                continue
            }
            #expect(outcome.result == .encoded(byteCount: byteCount))
        }
        #expect(trial.outcomes.count == 3)
        let least = trial.outcomes.compactMap(\.byteCount).min()
        #expect(trial.outcomes.first { $0.candidate == trial.winner }?.byteCount == least)
    }

    @Test("grey in three channels: the colour transform wins")
    func colourTransform() throws {
        let format = PixelFormat(
            rows: 64,
            columns: 64,
            samplesPerPixel: 3,
            bitsAllocated: 8,
            bitsStored: 8,
            photometric: .rgb
        )
        let grey = PixelFormat(rows: 64, columns: 64, bitsAllocated: 8, bitsStored: 8).makeFrame(.noise)
        let frame = ByteBuffer(bytes: grey.readableBytesView.flatMap { [$0, $0, $0] })
        let candidates: [CodecTrial.Candidate] = [
            .init(.jpegLS), .init(.jpeg2000), .init(.jpeg2000, options: Self.transform),
        ]
        let trial = try CodecTrial(frames: [frame], format: format, candidates: candidates)
        #expect(trial.winner == candidates[2])
    }

    @Test("of equals the first wins")
    func ties() throws {
        let format = PixelFormat(rows: 8, columns: 8, bitsAllocated: 16, bitsStored: 12)
        let frames = [format.makeFrame(.smooth)]
        let twice = [CodecTrial.Candidate(.jpegLS), CodecTrial.Candidate(.jpegLS)]
        #expect(try CodecTrial(frames: frames, format: format, candidates: twice).winner == twice[0])
        #expect(try CodecTrial(frames: frames, format: format, candidates: []).winner == nil)
    }

    @Test("refusals of the format and of one frame are outcomes")
    func refusals() throws {
        let wide = PixelFormat(rows: 8, columns: 8, bitsAllocated: 32, bitsStored: 20)
        let candidates = Self.all + [.init(.htj2k, options: Self.transform)]
        let trial = try CodecTrial(frames: [wide.makeFrame(.smooth)], format: wide, candidates: candidates)
        #expect(trial.outcomes[0].result == .refused(reason: "JPEG-LS has at most 16 bits a sample"))
        #expect(trial.outcomes[3].byteCount == nil)
        #expect(trial.winner == .init(.jpeg2000) || trial.winner == .init(.htj2k))

        let frames = [wide.makeFrame(.smooth), wide.makeFrame(.dirty)]
        let dirty = try CodecTrial(frames: frames, format: wide, candidates: Self.all)
        #expect(dirty.winner == nil)
        #expect(dirty.outcomes.allSatisfy { $0.byteCount == nil })
    }

    @Test("no frame, or one of another size, is the caller's mistake")
    func mistakes() {
        let format = PixelFormat(rows: 8, columns: 8, bitsAllocated: 8, bitsStored: 8)
        for frames in [[], [ByteBuffer(repeating: 0, count: 63)]] {
            #expect {
                try CodecTrial(frames: frames, format: format, candidates: Self.all)
            } throws: {
                ($0 as? CodecError)?.code == .invalidInput
            }
        }
    }
}
