// SPDX-License-Identifier: Apache-2.0

/// Where the decoded samples of one component go: into the native frame, or a plane of its own to be enlarged.
struct JPEGSamplePlane {
    let start: UnsafeMutableRawPointer
    let rows: Int
    let columns: Int
    /// Samples from one row to the next, and from one column to the next.
    let rowStride: Int
    let columnStride: Int

    @inline(__always)
    func store(_ sample: UInt16, row: Int, column: Int) {
        start.storeBytes(of: sample, toByteOffset: (row &* rowStride &+ column &* columnStride) &* 2, as: UInt16.self)
    }

    @inline(__always)
    func sample(row: Int, column: Int) -> Int {
        Int(start.loadUnaligned(fromByteOffset: (row &* rowStride &+ column &* columnStride) &* 2, as: UInt16.self))
    }

    /// Enlarges this plane to `target`, which is `across` times as wide and `down` times as high, cut at its edges.
    ///
    /// Factors of 2 weigh the nearer sample three times as much as the farther one, as libjpeg does; others repeat.
    func enlarge(_ across: Int, _ down: Int, to target: JPEGSamplePlane) {
        for row in 0..<target.rows {
            let near = row / down
            let far = down == 2 ? max(0, min(rows - 1, row % 2 == 0 ? near - 1 : near + 1)) : near
            for column in 0..<target.columns {
                let left = column / across
                let other = across == 2 ? max(0, min(columns - 1, column % 2 == 0 ? left - 1 : left + 1)) : left
                let nearSum = 3 * sample(row: near, column: left) + sample(row: near, column: other)
                let farSum = 3 * sample(row: far, column: left) + sample(row: far, column: other)
                // Rounding alternates so that ties do not drift.
                let value = (3 * nearSum + farSum + (column % 2 == 0 ? 8 : 7)) >> 4
                target.store(UInt16(truncatingIfNeeded: value), row: row, column: column)
            }
        }
    }

    /// Turns YCbCr in three planes of one shape into RGB, by the equations of JFIF at `precision` bits.
    static func convertToRGB(_ planes: [JPEGSamplePlane], precision: Int) {
        guard planes.count == 3 else { return }
        let (middle, top) = (Float(1 << (precision - 1)), Float((1 << precision) - 1))
        func clamp(_ value: Float) -> UInt16 { UInt16(max(0, min(top, value.rounded()))) }
        for row in 0..<planes[0].rows {
            for column in 0..<planes[0].columns {
                let luma = Float(planes[0].sample(row: row, column: column))
                let blue = Float(planes[1].sample(row: row, column: column)) - middle
                let red = Float(planes[2].sample(row: row, column: column)) - middle
                planes[0].store(clamp(luma + 1.402 * red), row: row, column: column)
                planes[1].store(clamp(luma - 0.344_136 * blue - 0.714_136 * red), row: row, column: column)
                planes[2].store(clamp(luma + 1.772 * blue), row: row, column: column)
            }
        }
    }
}
