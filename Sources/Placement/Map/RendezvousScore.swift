// SPDX-License-Identifier: Apache-2.0

/// How near a placement group is to a node, before the node's weight is counted; smaller is nearer.
///
/// Weighted rendezvous hashing gives every (group, node) pair a uniform number u in (0, 1) and ranks nodes by
/// -ln(u) / weight, ascending: the nearest node is then the owner with a probability in proportion to its weight, and
/// a change of one node's weight moves groups only to or from that node. Every process must rank alike for ever, so
/// nothing here is floating point: the logarithm is to base 2, in fixed point, from integer operations only, and two
/// quotients are compared by multiplying across.
struct RendezvousScore: Sendable {
    /// The binary digits after the point of `cost`.
    static let fractionBitCount = 32

    /// -log2(u) in fixed point, from 1 to 64 << 32.
    let cost: UInt64
    let weight: UInt32

    /// Scores a pair; the weight must not be zero.
    init(group: PlacementGroup, node: NodeID, weight: UInt32) {
        self.cost = Self.negativeLog2(Self.hash(group: group, node: node))
        self.weight = weight
    }

    /// Whether `self` ranks before `other`: cost / weight < other.cost / other.weight, exactly.
    func isNearer(than other: RendezvousScore) -> Bool {
        // 39 bits times 32 bits: the product needs 71.
        UInt128(cost) * UInt128(other.weight) < UInt128(other.cost) * UInt128(weight)
    }

    /// 64 well-mixed bits of a pair.
    static func hash(group: PlacementGroup, node: NodeID) -> UInt64 {
        mix(mix(mix(0x7661_7276_6520_6d61 ^ node.high) ^ node.low) ^ UInt64(group.rawValue))
    }

    /// The finaliser of SplitMix64 (Stafford's variant 13), after its increment.
    static func mix(_ value: UInt64) -> UInt64 {
        var bits = value &+ 0x9e37_79b9_7f4a_7c15
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return bits ^ (bits >> 31)
    }

    /// -log2(hash / 2^64), truncated to 32 binary digits by the digit-by-digit method: the mantissa is squared, and
    /// whether the square reaches 2 is the next digit.
    static func negativeLog2(_ hash: UInt64) -> UInt64 {
        let number = hash | 1
        let leadingZeros = number.leadingZeroBitCount
        // The mantissa in [1, 2), as a fixed-point number with 63 binary digits.
        var mantissa = number << UInt64(leadingZeros)
        var fraction: UInt64 = 0
        for _ in 0..<fractionBitCount {
            // The upper half of the square has 62 binary digits.
            let square = mantissa.multipliedFullWidth(by: mantissa).high
            fraction <<= 1
            if square >> 63 == 1 {
                fraction |= 1
                mantissa = square
            } else {
                mantissa = square << 1
            }
        }
        return UInt64(leadingZeros + 1) << UInt64(fractionBitCount) - fraction
    }
}
