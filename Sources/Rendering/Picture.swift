// SPDX-License-Identifier: Apache-2.0

/// A rendered image: 8 bits a sample, row by row, colour by pixel.
public struct Picture: Sendable, Hashable {
    public let width: Int
    public let height: Int
    /// 1 grey, 0 black; or 3, RGB.
    public let channelCount: Int
    public let samples: [UInt8]

    /// `samples` must have `width * height * channelCount` elements.
    public init(width: Int, height: Int, channelCount: Int, samples: [UInt8]) {
        precondition(samples.count == width * height * channelCount, "a picture has all of its samples")
        self.width = width
        self.height = height
        self.channelCount = channelCount
        self.samples = samples
    }
}
