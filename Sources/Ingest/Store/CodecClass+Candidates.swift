// SPDX-License-Identifier: Apache-2.0

import PixelCodecs

extension CodecClass {
    /// The ways to encode frames of a format that the class allows, the preferred first.
    func candidates(for format: PixelFormat) -> [CodecTrial.Candidate] {
        let jpegLS = CodecTrial.Candidate(.jpegLS)
        let transform = PixelCodec.EncodingOptions(usesReversibleColourTransform: format.photometric == .rgb)
        switch self {
        case .asReceived: return []
        case .balanced: return [jpegLS]
        // What HTJ2K can't carry is better kept small than native.
        case .fast: return [CodecTrial.Candidate(.htj2k, options: transform), jpegLS]
        case .dense:
            let transformed = CodecTrial.Candidate(.jpeg2000, options: transform)
            let plain = CodecTrial.Candidate(.jpeg2000)
            return format.photometric == .rgb ? [jpegLS, transformed, plain] : [jpegLS, plain]
        }
    }

    /// Whether the smallest of the candidates is looked for.
    var choosesBySize: Bool { self == .dense }
}

extension CodecTrial.Candidate {
    /// The candidate in words, for records, the catalog and people.
    var name: String {
        options.usesReversibleColourTransform ? "\(codec) with colour transform" : "\(codec)"
    }
}
