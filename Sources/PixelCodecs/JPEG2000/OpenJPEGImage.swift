// SPDX-License-Identifier: Apache-2.0

import COpenJPEG

/// A codestream decoded by OpenJPEG.
final class OpenJPEGImage {
    private let image: UnsafeMutablePointer<opj_image_t>

    /// Decodes all of `bytes`, a bare codestream whose numbers of tile-parts are right.
    ///
    /// Strictly: what is cut short is an error, which else is an image with a grey rest, and OpenJPEG makes no room for
    /// more than is there. It then believes the numbers of tile-parts (docs/decisions/0013).
    init(decoding bytes: UnsafeRawBufferPointer) throws(CodecError) {
        guard let codec = opj_create_decompress(OPJ_CODEC_J2K) else {
            throw CodecError(.outOfMemory, "OpenJPEG could not make a decoder")
        }
        defer { opj_destroy_codec(codec) }
        let messages = OpenJPEGErrors()
        messages.listen(to: codec)
        let source = MemorySource(bytes)
        guard let stream = source.makeStream() else {
            throw CodecError(.outOfMemory, "OpenJPEG could not make a stream")
        }
        defer { opj_stream_destroy(stream) }

        var parameters = opj_dparameters_t()
        opj_set_default_decoder_parameters(&parameters)
        var decoded: UnsafeMutablePointer<opj_image_t>?
        let succeeded = withExtendedLifetime((messages, source)) {
            opj_setup_decoder(codec, &parameters) != 0 && opj_decoder_set_strict_mode(codec, 1) != 0
                && opj_read_header(stream, codec, &decoded) != 0 && decoded != nil
                && opj_decode(codec, stream, decoded) != 0 && opj_end_decompress(codec, stream) != 0
        }
        guard succeeded, let decoded else {
            opj_image_destroy(decoded)
            throw CodecError(.corruptStream, "OpenJPEG could not decode: \(messages.firstMessage)")
        }
        self.image = decoded
    }

    deinit { opj_image_destroy(image) }

    func withImage(_ body: (opj_image_t) throws(CodecError) -> Void) throws(CodecError) {
        try body(image.pointee)
    }
}
