// SPDX-License-Identifier: Apache-2.0

/// YBR colour spaces to RGB, 8 bits a sample (PS3.3 §C.7.6.3.1.2).
enum ColourConversion {
    /// YBR_FULL: ITU-R BT.601 over the full range.
    static func full(_ y: UInt8, _ cb: UInt8, _ cr: UInt8) -> (UInt8, UInt8, UInt8) {
        rgb(Double(y), Double(cb) - 128, Double(cr) - 128)
    }

    /// YBR_PARTIAL: luma from 16 to 235, chroma from 16 to 240.
    static func partial(_ y: UInt8, _ cb: UInt8, _ cr: UInt8) -> (UInt8, UInt8, UInt8) {
        rgb((Double(y) - 16) * 255 / 219, (Double(cb) - 128) * 255 / 224, (Double(cr) - 128) * 255 / 224)
    }

    private static func rgb(_ y: Double, _ cb: Double, _ cr: Double) -> (UInt8, UInt8, UInt8) {
        (level(y + 1.402 * cr), level(y - 0.344_136 * cb - 0.714_136 * cr), level(y + 1.772 * cb))
    }

    private static func level(_ value: Double) -> UInt8 { UInt8(max(0, min(255, value.rounded()))) }
}
