// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
package import PixelCodecs

/// How the encoded frames of an image become native ones.
package struct ImageDecoding: Sendable, Hashable {
    package let codec: PixelCodec
    package let format: PixelFormat
    package let frameCount: Int

    /// The codec that decodes a transfer syntax; nil when none here does.
    static func codec(for transferSyntax: String) -> PixelCodec? {
        switch TransferSyntax.known(transferSyntax) {
        case .some(.jpegLSLossless), .some(.jpegLSNearLossless): .jpegLS
        case .some(.jpeg2000Lossless), .some(.jpeg2000): .jpeg2000
        case .some(.htj2kLossless), .some(.htj2kLosslessRPCL), .some(.htj2k): .htj2k
        case .some(.rleLossless): .rle
        case .some(.jpegLossless), .some(.jpegLosslessSV1): .jpegLossless
        case .some(.jpegBaseline), .some(.jpegExtended): .jpeg
        default: nil
        }
    }

    /// Reads the image's description; `header` is the data set before Pixel Data, as its native form has it.
    init(header: DataSet, transferSyntax: String) throws(RetrieveFailure) {
        guard let codec = Self.codec(for: transferSyntax) else {
            throw RetrieveFailure(.notAcceptable, "pixel data in \(transferSyntax) can't be decoded here")
        }
        let description: ImagePixelDescription
        do throws(DICOMError) {
            description = try ImagePixelDescription(header)
        } catch {
            throw RetrieveFailure(.notAcceptable, "pixel data can't be decoded: \(error)")
        }
        var format = PixelFormat(description)
        if format.photometric == .ybrSubsampled {
            // JPEG comes out with all samples of each pixel; the other codecs' streams are not subsampled as such native
            // frames are, so what comes out would be another layout.
            guard codec == .jpeg else {
                throw RetrieveFailure(.notAcceptable, "subsampled colour can't be decoded here")
            }
            format.photometric = .ybrFull
        }
        self.codec = codec
        self.frameCount = description.numberOfFrames
        self.format = format
    }

    /// Photometric Interpretation (0028,0004) of the decoded frames, given one of the encoded ones; nil when it stays.
    func photometricInterpretation(decoding frame: ByteBuffer) -> String? {
        guard format.samplesPerPixel == 3 else { return nil }
        switch codec.decodedPhotometric(of: frame, format: format) {
        case .some(.rgb): return "RGB"
        case .some(.ybrFull): return "YBR_FULL"
        default: return nil
        }
    }
}
