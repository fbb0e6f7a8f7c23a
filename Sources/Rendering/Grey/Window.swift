// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#endif

/// A window on the values of an image, as a VOI transformation (PS3.3 §C.11.2.1.2).
public struct Window: Sendable, Hashable {
    /// VOI LUT Function (0028,1056).
    public enum Function: String, Sendable, Hashable, CaseIterable {
        case linear = "LINEAR"
        case linearExact = "LINEAR_EXACT"
        case sigmoid = "SIGMOID"
    }

    public let center: Double
    public let width: Double
    public let function: Function

    /// nil for what is no window: a width below 1 (LINEAR), or none at all.
    public init?(center: Double, width: Double, function: Function = .linear) {
        guard center.isFinite, width.isFinite, function == .linear ? width >= 1 : width > 0 else { return nil }
        self.center = center
        self.width = width
        self.function = function
    }

    /// Where a value is in the window: 0 at and below its lower end, 1 at and above its upper.
    public func position(of value: Double) -> Double {
        switch function {
        case .linear:
            let middle = center - 0.5
            let half = (width - 1) / 2
            if value <= middle - half { return 0 }
            if value > middle + half { return 1 }
            return (value - middle) / (width - 1) + 0.5
        case .linearExact:
            if value <= center - width / 2 { return 0 }
            if value > center + width / 2 { return 1 }
            return (value - center) / width + 0.5
        case .sigmoid:
            return 1 / (1 + exp(-4 * (value - center) / width))
        }
    }
}
