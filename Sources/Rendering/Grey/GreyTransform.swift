// SPDX-License-Identifier: Apache-2.0

import DICOM

/// From stored values to grey levels: Modality LUT, VOI LUT, Presentation LUT (PS3.4 §N.2).
public struct GreyTransform: Sendable, Hashable {
    public enum Modality: Sendable, Hashable {
        case rescale(slope: Double, intercept: Double)
        case table(LookupTable)
    }

    public enum VOI: Sendable, Hashable {
        case window(Window)
        case table(LookupTable)
        /// Neither window nor table: from the smallest value of the frame to the largest.
        case extent
    }

    public var modality: Modality
    public var voi: VOI
    /// Low values are bright: MONOCHROME1, or a Presentation LUT Shape of INVERSE.
    public var isInverted: Bool

    public init(modality: Modality, voi: VOI, isInverted: Bool) {
        self.modality = modality
        self.voi = voi
        self.isInverted = isInverted
    }

    /// Reads what applies to the frame with this number, from 1; enhanced images say it in their functional groups.
    init(_ dataSet: DataSet, frame number: Int) {
        let groups = FunctionalGroups(dataSet, frame: number)
        let values = groups.item(.pixelValueTransformationSequence) ?? dataSet
        if let item = values.items(.modalityLUTSequence).first,
            let table = LookupTable(item, descriptor: .lutDescriptor, data: .lutData)
        {
            self.modality = .table(table)
        } else {
            let slope = values.decimal(.rescaleSlope) ?? 1
            let intercept = values.decimal(.rescaleIntercept) ?? 0
            // A slope of 0 would make every image black.
            let isUsable = slope != 0 && slope.isFinite && intercept.isFinite
            self.modality = isUsable ? .rescale(slope: slope, intercept: intercept) : .rescale(slope: 1, intercept: 0)
        }
        let views = groups.item(.frameVOILUTSequence) ?? dataSet
        let function = Window.Function(rawValue: views.string(.voiLUTFunction) ?? "") ?? .linear
        if let center = views.decimal(.windowCenter), let width = views.decimal(.windowWidth),
            let window = Window(center: center, width: width, function: function)
        {
            self.voi = .window(window)
        } else if let item = views.items(.voiLUTSequence).first,
            let table = LookupTable(item, descriptor: .lutDescriptor, data: .lutData)
        {
            self.voi = .table(table)
        } else {
            self.voi = .extent
        }
        let photometric = dataSet.string(.photometricInterpretation)
        self.isInverted = photometric == "MONOCHROME1" || dataSet.string(.presentationLUTShape) == "INVERSE"
    }

    /// What the modality makes of a stored value: Hounsfield units, optical densities, ...
    public func modalityValue(of stored: Int) -> Double {
        switch modality {
        case .rescale(let slope, let intercept): Double(stored) * slope + intercept
        case .table(let table): Double(table[stored])
        }
    }

    /// The grey level of a stored value, 0 to 255; `extent` are the smallest and largest modality values, for `.extent`.
    public func level(of stored: Int, extent: ClosedRange<Double>) -> UInt8 {
        let value = modalityValue(of: stored)
        let position: Double
        switch voi {
        case .window(let window): position = window.position(of: value)
        case .table(let table):
            position = Double(table[Int(exactly: value.rounded()) ?? (value < 0 ? .min : .max)]) / table.maximum
        case .extent:
            let width = extent.upperBound - extent.lowerBound
            position = width > 0 ? (value - extent.lowerBound) / width : 0.5
        }
        let level = UInt8(max(0, min(255, (position * 255).rounded())))
        return isInverted ? 255 - level : level
    }
}
