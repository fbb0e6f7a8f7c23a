// SPDX-License-Identifier: Apache-2.0

/// The inverse discrete cosine transform of 8 by 8 coefficients (A.3.3), in place.
enum InverseDCT {
    /// C(u) / 2 · cos((2x + 1)uπ / 16), frequency by frequency.
    private static let basis: [Float] = {
        // cos(kπ / 16) for k of 0 to 8; the others follow by symmetry.
        let cosines: [Double] = [
            1, 0.980_785_280_403_230_4, 0.923_879_532_511_286_7, 0.831_469_612_302_545_2, 0.707_106_781_186_547_5,
            0.555_570_233_019_602_2, 0.382_683_432_365_089_8, 0.195_090_322_016_128_3, 0,
        ]
        func cosine(_ sixteenths: Int) -> Double {
            let angle = sixteenths % 32
            let half = angle > 16 ? 32 - angle : angle
            return half > 8 ? -cosines[16 - half] : cosines[half]
        }
        return (0..<64).map { index in
            let (frequency, place) = (index / 8, index % 8)
            let scale = frequency == 0 ? cosines[4] / 2 : 0.5
            return Float(scale * cosine((2 * place + 1) * frequency))
        }
    }()

    static func run(_ block: UnsafeMutableBufferPointer<Float>, hasDetail: Bool) {
        guard hasDetail else {
            let level = block[0] / 8
            for index in 0..<64 { block[index] = level }
            return
        }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 64) { rows in
            basis.withUnsafeBufferPointer { basis in
                // Rows of coefficients into rows of samples, then the columns the same way.
                for row in 0..<8 {
                    for place in 0..<8 { rows[row &* 8 &+ place] = 0 }
                    for frequency in 0..<8 {
                        let coefficient = block[row &* 8 &+ frequency]
                        for place in 0..<8 {
                            rows[row &* 8 &+ place] += coefficient * basis[frequency &* 8 &+ place]
                        }
                    }
                }
                for row in 0..<8 {
                    for place in 0..<8 { block[row &* 8 &+ place] = 0 }
                    for frequency in 0..<8 {
                        let factor = basis[frequency &* 8 &+ row]
                        for place in 0..<8 {
                            block[row &* 8 &+ place] += rows[frequency &* 8 &+ place] * factor
                        }
                    }
                }
            }
        }
    }
}
