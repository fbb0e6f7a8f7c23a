// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import Rendering

/// How a request for rendered images is answered: what its parameters and its Accept header come to.
struct RenderedReply: Sendable {
    let request: RenderedRequest
    let options: FrameRenderer.Options
    let form: RenderedInstance.Form
    let isSingle: Bool
    /// Of each picture.
    let mediaType: String

    init(_ request: RenderedRequest, _ representation: Representation) {
        self.request = request
        self.options = FrameRenderer.Options(
            window: request.window.flatMap(Window.init),
            viewport: request.viewport.map(Viewport.init)
        )
        let isPNG = representation == .png || representation == .multipartPNG
        self.form = isPNG ? .png : .jpeg(quality: request.quality)
        self.isSingle = representation == .png || representation == .jpeg
        self.mediaType = isPNG ? "image/png" : "image/jpeg"
    }

    /// Tells answers apart that differ by what was asked for.
    func add(to tag: inout RepresentationTag) {
        tag.add("\(isSingle) \(form) \(options)")
    }
}

extension Window {
    init?(_ window: RenderedRequest.Window) {
        let function: Function =
            switch window.function {
            case .linear: .linear
            case .linearExact: .linearExact
            case .sigmoid: .sigmoid
            }
        self.init(center: window.center, width: window.width, function: function)
    }
}

extension Viewport {
    init(_ viewport: RenderedRequest.Viewport) {
        self.init(
            width: viewport.width,
            height: viewport.height,
            region: Region(x: viewport.x, y: viewport.y, width: viewport.regionWidth, height: viewport.regionHeight)
        )
    }
}
