// SPDX-License-Identifier: Apache-2.0

import DICOM
import PixelCodecs

/// How the encoded frames of an image become native ones.
struct ImageDecoding: Sendable, Hashable {
    let codec: PixelCodec
    let format: PixelFormat
    let frameCount: Int

    /// The codec that decodes a transfer syntax; nil when none here does.
    static func codec(for transferSyntax: String) -> PixelCodec? {
        switch TransferSyntax.known(transferSyntax) {
        case .some(.jpegLSLossless), .some(.jpegLSNearLossless): .jpegLS
        case .some(.jpeg2000Lossless), .some(.jpeg2000): .jpeg2000
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
        let format = PixelFormat(description)
        // Neither codec's streams are subsampled as such native frames are: what comes out would be another layout.
        guard format.photometric != .ybrSubsampled else {
            throw RetrieveFailure(.notAcceptable, "subsampled colour can't be decoded here")
        }
        self.codec = codec
        self.frameCount = description.numberOfFrames
        self.format = format
    }
}
