// SPDX-License-Identifier: Apache-2.0

import DICOM
package import NIOCore
package import PixelCodecs

/// How the pixel data of one instance is to be compressed: format, codec, and what follows the last frame.
///
/// Made only when compression is possible and worth it; everything else stays as it came, with the reason in words.
package struct CompressionPlan: Sendable {
    package let format: PixelFormat
    /// The ways to encode that the policy allows and that can carry the format, the preferred first; never empty.
    package let candidates: [CodecTrial.Candidate]
    /// The one that is used: the first, unless another was chosen for the series.
    package private(set) var candidate: CodecTrial.Candidate
    let frameCount: Int
    /// Where the value of Pixel Data begins and ends in the data set.
    let valueOffset: Int
    let valueByteCount: Int
    /// Where the Pixel Data element begins, and the VR with which it came.
    let elementOffset: Int
    let pixelVR: VR
    /// Whether Planar Configuration has to become 0 in the stored header (PS3.5 §8.2.3, §8.2.4).
    let clearsPlanarConfiguration: Bool

    /// Either a plan or why there is none.
    package enum Decision: Sendable {
        case compress(CompressionPlan)
        case keep(reason: String)
    }

    /// The most bytes of native pixel data that are compressed: what is smaller has offsets of 32 bits, as the basic
    /// offset table wants them.
    static let maximumPixelByteCount = Int(UInt32.max)

    /// What is kept in the record's metadata has to fit there: frame locations, and bytes behind the last frame.
    static let maximumFrameCount = 100_000
    static let maximumSurplusByteCount = 64 << 10

    package static func decide(for instance: ReceivedInstance, codecClass: CodecClass) -> Decision {
        guard codecClass != .asReceived else { return .keep(reason: "policy: as received") }
        return decide(for: instance, choosesBySize: codecClass.choosesBySize, candidates: codecClass.candidates)
    }

    /// The same for other candidates than a class's.
    static func decide(
        for instance: ReceivedInstance,
        choosesBySize: Bool,
        candidates allowedCandidates: (PixelFormat) -> [CodecTrial.Candidate]
    ) -> Decision {
        let syntax = instance.transferSyntax
        guard !syntax.isEncapsulated else { return .keep(reason: "already encapsulated") }
        guard !syntax.isBigEndian, !syntax.isDeflated else { return .keep(reason: "big endian or deflated") }
        guard let location = instance.pixelData else { return .keep(reason: "no pixel data") }
        guard let valueByteCount = location.byteCount, location.tag == .pixelData else {
            return .keep(reason: "pixel data of undefined length, or floating point")
        }
        let description: ImagePixelDescription
        do throws(DICOMError) {
            description = try ImagePixelDescription(instance.header)
        } catch {
            return .keep(reason: "image description: \(error)")
        }
        let format = PixelFormat(description)
        let frameCount = description.numberOfFrames
        let (needed, overflow) = format.frameByteCount.multipliedReportingOverflow(by: frameCount)
        guard !overflow, needed > 0, needed <= valueByteCount, needed <= maximumPixelByteCount else {
            return .keep(reason: "pixel data shorter than its frames")
        }
        guard frameCount <= maximumFrameCount, valueByteCount - needed <= maximumSurplusByteCount else {
            return .keep(reason: "too many frames, or too many bytes behind the last one")
        }
        let allowed = allowedCandidates(format)
        let candidates = allowed.filter { $0.codec.refusal(of: format, options: $0.options) == nil }
        guard let first = candidates.first else {
            let refusal = allowed.first.flatMap { $0.codec.refusal(of: format, options: $0.options) }
            return .keep(reason: refusal ?? "policy: no codec")
        }
        return .compress(
            CompressionPlan(
                format: format,
                // A class whose aim is not size has no choice to make: the first that can carry the format is it.
                candidates: choosesBySize ? candidates : [first],
                candidate: first,
                frameCount: frameCount,
                valueOffset: location.valueOffset,
                valueByteCount: valueByteCount,
                elementOffset: location.elementOffset,
                pixelVR: location.vr,
                clearsPlanarConfiguration: format.samplesPerPixel > 1 && format.isPlanar
            )
        )
    }

    /// The same with one of `candidates` chosen.
    package func choosing(_ candidate: CodecTrial.Candidate) -> CompressionPlan {
        var plan = self
        if candidates.contains(candidate) { plan.candidate = candidate }
        return plan
    }

    package var codec: PixelCodec { candidate.codec }

    /// The stored transfer syntax.
    var transferSyntax: TransferSyntax {
        switch candidate.codec {
        case .jpeg2000: .jpeg2000Lossless
        case .htj2k: .htj2kLossless
        case .rle: .rleLossless
        // The others of the codecs encode nothing.
        case .jpegLS, .jpegLossless, .jpeg: .jpegLSLossless
        }
    }

    /// Photometric Interpretation of the stored header, where it is not that of the received one (PS3.5 §8.2.4).
    var storedPhotometricInterpretation: String? {
        candidate.options.usesReversibleColourTransform ? "YBR_RCT" : nil
    }

    /// Where frame `index` lies in the data set.
    func frameRange(_ index: Int) -> Range<Int> {
        let start = valueOffset + index * format.frameByteCount
        return start..<start + format.frameByteCount
    }

    /// The rest of the value behind the last frame: padding, or surplus bytes that are kept as they came.
    var surplusRange: Range<Int> {
        valueOffset + frameCount * format.frameByteCount..<valueOffset + valueByteCount
    }

    /// Where the Pixel Data element ends in the data set.
    var endOffset: Int { valueOffset + valueByteCount }

    /// All frames of an instance in memory; slices, not copies.
    ///
    /// Nil when they are not all there.
    package func frames(of instance: ReceivedInstance) -> [ByteBuffer]? {
        let frames = (0..<frameCount).compactMap { instance.head.slice(at: frameRange($0)) }
        return frames.count == frameCount ? frames : nil
    }
}
