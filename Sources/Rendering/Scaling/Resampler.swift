// SPDX-License-Identifier: Apache-2.0

/// Scales pictures: bilinear, over as many source pixels as a target pixel covers, so that small ones don't flicker.
enum Resampler {
    /// The source pixels that one target pixel is made of, and how much of each.
    private struct Contribution {
        let first: Int
        let weights: [Float]
    }

    static func scaled(_ picture: Picture, width: Int, height: Int) -> Picture {
        if width == picture.width, height == picture.height { return picture }
        let channels = picture.channelCount
        // Rows first, into numbers that are not rounded in between.
        let columns = contributions(from: picture.width, to: width)
        var middle = [Float](repeating: 0, count: width * picture.height * channels)
        for row in 0..<picture.height {
            let source = row * picture.width * channels
            let target = row * width * channels
            for (column, contribution) in columns.enumerated() {
                for channel in 0..<channels {
                    var sum: Float = 0
                    var index = source + contribution.first * channels + channel
                    for weight in contribution.weights {
                        sum += weight * Float(picture.samples[index])
                        index += channels
                    }
                    middle[target + column * channels + channel] = sum
                }
            }
        }
        let lineCount = width * channels
        var samples: [UInt8] = []
        samples.reserveCapacity(lineCount * height)
        var line = [Float](repeating: 0, count: lineCount)
        for contribution in contributions(from: picture.height, to: height) {
            for index in line.indices { line[index] = 0 }
            for (offset, weight) in contribution.weights.enumerated() {
                let start = (contribution.first + offset) * lineCount
                for index in 0..<lineCount { line[index] += weight * middle[start + index] }
            }
            for value in line { samples.append(UInt8(max(0, min(255, value.rounded())))) }
        }
        return Picture(width: width, height: height, channelCount: channels, samples: samples)
    }

    /// A triangle of the width of two source pixels, or of two target pixels where these are larger.
    private static func contributions(from sourceCount: Int, to targetCount: Int) -> [Contribution] {
        let scale = Double(sourceCount) / Double(targetCount)
        let reach = max(scale, 1)
        return (0..<targetCount).map { target in
            let center = (Double(target) + 0.5) * scale
            let first = max(0, Int(center - reach + 0.5))
            let end = max(first + 1, min(sourceCount, Int(center + reach + 0.5)))
            let weights = (first..<end).map { source in
                max(0, 1 - abs((Double(source) - center + 0.5) / reach))
            }
            let sum = weights.reduce(0, +)
            return Contribution(
                first: first,
                weights: sum > 0 ? weights.map { Float($0 / sum) } : weights.map { _ in 1 / Float(weights.count) }
            )
        }
    }
}
