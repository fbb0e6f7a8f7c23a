// SPDX-License-Identifier: Apache-2.0

public import DICOM
public import NIOCore

/// Renders frames of an image as its data set says, or as a request says instead.
///
/// Pure computation, of milliseconds to seconds a frame: servers run it on threads made for that.
public struct FrameRenderer: Sendable {
    /// What a request says of the rendering.
    public struct Options: Sendable, Hashable {
        /// Instead of what the data set has; for grey images.
        public var window: Window?
        /// Without one, every pixel of the image is one of the picture.
        public var viewport: Viewport?

        public init(window: Window? = nil, viewport: Viewport? = nil) {
            self.window = window
            self.viewport = viewport
        }
    }

    /// Pixels of the largest picture.
    public static let maximumPixelCount = 1 << 25

    private let dataSet: DataSet
    private let description: ImagePixelDescription
    private let palette: Palette?

    /// `dataSet` is the image's, without its pixel data.
    public init(_ dataSet: DataSet) throws(RenderingError) {
        do throws(DICOMError) {
            self.description = try ImagePixelDescription(dataSet)
        } catch {
            throw RenderingError(.unsupported, "it is no image, or its description can't be read: \(error)")
        }
        // Float Pixel Data has neither (PS3.3 §C.7.6.24).
        guard description.bitsAllocated < 32 || dataSet.integer(.pixelRepresentation) != nil else {
            throw RenderingError(.unsupported, "floating point pixel data is not rendered")
        }
        guard description.rows * description.columns <= Self.maximumPixelCount else {
            throw RenderingError(.unsupported, "images of more than \(Self.maximumPixelCount) pixels are not rendered")
        }
        self.dataSet = dataSet
        self.palette = description.isPalette ? try Palette(dataSet) : nil
    }

    /// Renders a native frame, little endian; `number` counts from 1.
    ///
    /// `photometric` is what the samples are, where decoding has changed it.
    public func render(
        _ frame: ByteBuffer,
        number: Int,
        photometric: String? = nil,
        options: Options = Options()
    ) throws(RenderingError) -> Picture {
        let whole = try picture(frame, number, photometric ?? description.photometricInterpretation, options.window)
        let (horizontal, vertical) = pixelAspect
        guard let viewport = options.viewport else {
            if horizontal == vertical { return whole }
            // The shorter side of the pixels is kept, the longer one gets more of them.
            let shorter = min(horizontal, vertical)
            let width = Int((Double(whole.width) * horizontal / shorter).rounded())
            let height = Int((Double(whole.height) * vertical / shorter).rounded())
            return width * height <= Self.maximumPixelCount
                ? Resampler.scaled(whole, width: width, height: height) : whole
        }
        let region = try whole.cropped(to: viewport.region)
        let (width, height) = viewport.fitted(
            width: Double(region.width) * horizontal,
            height: Double(region.height) * vertical
        )
        return Resampler.scaled(region, width: width, height: height)
    }

    private func picture(
        _ frame: ByteBuffer,
        _ number: Int,
        _ photometric: String,
        _ window: Window?
    ) throws(RenderingError) -> Picture {
        let (width, height) = (description.columns, description.rows)
        if description.samplesPerPixel == 3 {
            let samples = try ColourFrame.rgb(frame, description, photometric: photometric)
            return Picture(width: width, height: height, channelCount: 3, samples: samples)
        }
        guard description.samplesPerPixel == 1 else {
            throw RenderingError(
                .unsupported,
                "images of \(description.samplesPerPixel) samples a pixel are not rendered"
            )
        }
        let stored = try StoredSamples(frame, description)
        if let palette {
            var samples: [UInt8] = []
            samples.reserveCapacity(3 * stored.count)
            stored.forEachCode { code in
                let (red, green, blue) = palette.colour(of: stored.value(ofCode: code))
                samples.append(red)
                samples.append(green)
                samples.append(blue)
            }
            return Picture(width: width, height: height, channelCount: 3, samples: samples)
        }
        guard photometric == "MONOCHROME1" || photometric == "MONOCHROME2" else {
            throw RenderingError(.unsupported, "images in \(photometric) are not rendered")
        }
        var transform = GreyTransform(dataSet, frame: number)
        if let window { transform.voi = .window(window) }
        return Picture(
            width: width,
            height: height,
            channelCount: 1,
            samples: stored.levels(transform, padding: padding)
        )
    }

    /// Stored values that fill what is outside of the image (PS3.3 §C.7.5.1.1.2).
    private var padding: ClosedRange<Int>? {
        guard let value = dataSet.integer(.pixelPaddingValue) else { return nil }
        let limit = dataSet.integer(.pixelPaddingRangeLimit) ?? value
        return min(value, limit)...max(value, limit)
    }

    /// Width and height of a pixel in relation to each other: Pixel Aspect Ratio (0028,0034), vertical first.
    private var pixelAspect: (horizontal: Double, vertical: Double) {
        let ratio = dataSet.integers(.pixelAspectRatio).map(Double.init)
        // Beyond four it is a mistake, or an attempt to have a picture of any size.
        guard ratio.count == 2, ratio[0] > 0, ratio[1] > 0, ratio[0] <= 4 * ratio[1], ratio[1] <= 4 * ratio[0] else {
            return (1, 1)
        }
        return (ratio[1], ratio[0])
    }
}
