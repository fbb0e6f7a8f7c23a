// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import PixelCodecs
import Rendering

/// Frames of one instance as pictures, rendered on the codec threads.
struct RenderedInstance: Sendable {
    /// The files that pictures go out as.
    enum Form: Sendable, Hashable {
        case jpeg(quality: Int)
        case png
    }

    let instance: StoredInstance
    let frameCount: Int
    private let source: FrameReader.Source
    private let renderer: FrameRenderer
    private let decoder: FrameDecoder

    /// To be called when there is room for the layout's ``FrameReader/Layout/renderingCost(_:)``.
    ///
    /// - Throws: `.notAcceptable` when it is not rendered here.
    init(_ layout: FrameReader.Layout, reader: FrameReader) async throws(RetrieveFailure) {
        do throws(RenderingError) {
            self.renderer = try FrameRenderer(layout.header)
        } catch {
            throw RetrieveFailure(error)
        }
        self.instance = layout.record.instance
        self.frameCount = layout.frameCount
        self.source = try await reader.source(layout)
        self.decoder = reader.decoder
    }

    /// The frame with this number, from 1 to `frameCount`, as a file.
    func file(
        _ number: Int,
        _ form: Form,
        _ options: FrameRenderer.Options
    ) async throws(RetrieveFailure) -> ByteBuffer {
        let (bytes, photometric) = try await source.image(number)
        let renderer = renderer
        let result = try await decoder.run { () -> Result<ByteBuffer, RenderingError> in
            Result { () throws(RenderingError) in
                let picture = try renderer.render(bytes, number: number, photometric: photometric, options: options)
                switch form {
                case .jpeg(let quality): return try JPEGEncoder.encode(picture, quality: quality)
                case .png: return try PNGEncoder.encode(picture)
                }
            }
        }
        do throws(RenderingError) {
            return try result.get()
        } catch {
            throw RetrieveFailure(error)
        }
    }
}

extension FrameReader.Layout {
    /// The bytes of memory that rendering its frames one after another takes, about: stored and native frame, its 8-bit
    /// samples, those in between while they are scaled, and the picture.
    func renderingCost(_ options: FrameRenderer.Options) -> Int {
        let samples =
            description.rows * description.columns * (description.samplesPerPixel > 1 || description.isPalette ? 3 : 1)
        let picture = options.viewport.map { $0.width * $0.height * 6 } ?? samples
        return cost + 6 * samples + picture
    }
}

extension FrameReader.Source {
    /// A native frame, and what its samples are (Photometric Interpretation), which decoding may have changed.
    func image(_ number: Int) async throws(RetrieveFailure) -> (bytes: ByteBuffer, photometric: String) {
        let said = layout.description.photometricInterpretation
        guard layout.syntax.isEncapsulated else { return (try await frame(number, isNative: true).bytes, said) }
        let stored = try await frame(number, isNative: false)
        let decoding = try ImageDecoding(header: layout.header, transferSyntax: stored.transferSyntax)
        guard let bytes = try await reader.decoder.decode([stored.bytes], as: decoding).first else {
            throw RetrieveFailure(.damaged, "a frame decoded to nothing")
        }
        if let photometric = decoding.photometricInterpretation(decoding: stored.bytes) { return (bytes, photometric) }
        switch said {
        // The transforms of JPEG 2000 are undone (PS3.5 §8.2.4).
        case "YBR_RCT", "YBR_ICT": return (bytes, "RGB")
        default: return (bytes, said)
        }
    }
}

extension RetrieveFailure {
    init(_ error: RenderingError) {
        switch error.code {
        case .invalidRequest: self.init(.invalidQuery, error.message)
        case .unsupported: self.init(.notAcceptable, error.message)
        case .damaged: self.init(.damaged, error.message)
        }
    }
}
