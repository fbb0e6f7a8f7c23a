// SPDX-License-Identifier: Apache-2.0

/// The size to which a region of an image is fitted (PS3.18 §8.3.5.1.3).
public struct Viewport: Sendable, Hashable {
    /// A region of the source image; a negative extent mirrors it.
    public struct Region: Sendable, Hashable {
        public var x: Int
        public var y: Int
        /// nil: up to the image's right edge.
        public var width: Int?
        /// nil: up to the image's lower edge.
        public var height: Int?

        public init(x: Int = 0, y: Int = 0, width: Int? = nil, height: Int? = nil) {
            self.x = x
            self.y = y
            self.width = width
            self.height = height
        }
    }

    public let width: Int
    public let height: Int
    public let region: Region

    public init(width: Int, height: Int, region: Region = Region()) {
        self.width = width
        self.height = height
        self.region = region
    }

    /// The largest picture of a shape that fits: its width and height, at least 1 each.
    func fitted(width sourceWidth: Double, height sourceHeight: Double) -> (width: Int, height: Int) {
        let scale = min(Double(width) / sourceWidth, Double(height) / sourceHeight)
        return (
            max(1, min(width, Int((sourceWidth * scale).rounded()))),
            max(1, min(height, Int((sourceHeight * scale).rounded())))
        )
    }
}

extension Picture {
    /// The region, mirrored where its extent is negative.
    func cropped(to region: Viewport.Region) throws(RenderingError) -> Picture {
        let isOutside = RenderingError(
            .invalidRequest,
            "the region is not within the image, which has \(width) columns and \(height) rows"
        )
        // The corner first: the numbers are anybody's, and must not overflow.
        guard (0..<width).contains(region.x), (0..<height).contains(region.y) else { throw isOutside }
        let columns = region.width ?? width - region.x
        let rows = region.height ?? height - region.y
        guard columns != 0, rows != 0, columns.magnitude <= UInt(width - region.x),
            rows.magnitude <= UInt(height - region.y)
        else { throw isOutside }
        if columns == width, rows == height { return self }
        var cut: [UInt8] = []
        cut.reserveCapacity(abs(columns) * abs(rows) * channelCount)
        for row in 0..<abs(rows) {
            let y = region.y + (rows < 0 ? abs(rows) - 1 - row : row)
            let start = (y * width + region.x) * channelCount
            if columns > 0 {
                cut.append(contentsOf: samples[start..<start + columns * channelCount])
            } else {
                for column in stride(from: abs(columns) - 1, through: 0, by: -1) {
                    let pixel = start + column * channelCount
                    cut.append(contentsOf: samples[pixel..<pixel + channelCount])
                }
            }
        }
        return Picture(width: abs(columns), height: abs(rows), channelCount: channelCount, samples: cut)
    }
}
