// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import PixelCodecs

extension PixelFormat {
    /// The Image Pixel module's numbers in the codecs' terms.
    package init(_ description: ImagePixelDescription) {
        let photometric: Photometric =
            switch description.photometricInterpretation {
            case "MONOCHROME1", "MONOCHROME2": .monochrome
            case "PALETTE COLOR": .palette
            case "RGB": .rgb
            case "YBR_FULL": .ybrFull
            case "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420": .ybrSubsampled
            default: .other
            }
        self.init(
            rows: description.rows,
            columns: description.columns,
            samplesPerPixel: description.samplesPerPixel,
            bitsAllocated: description.bitsAllocated,
            bitsStored: description.bitsStored,
            highBit: description.highBit,
            isSigned: description.isSigned,
            isPlanar: description.isPlanar,
            photometric: photometric
        )
    }
}
