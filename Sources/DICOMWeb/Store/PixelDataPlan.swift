// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// What becomes of the Pixel Data of a described instance, checked against what its metadata say of the image.
enum PixelDataPlan {
    /// As they are, in this representation.
    case native(VR)
    /// A fragment for each of these parts.
    case frames([Int], TransferSyntax, isVideo: Bool)

    var transferSyntax: TransferSyntax {
        switch self {
        case .native: .explicitVRLittleEndian
        case .frames(_, let syntax, _): syntax
        }
    }

    /// Nil for an instance without Pixel Data; `isInline` says that the value is in the metadata.
    init?(
        _ dataSet: DataSet,
        _ instance: DescribedInstance,
        _ parts: BulkDataParts,
        isInline: Bool
    ) throws(DICOMWebError) {
        guard let element = dataSet[.pixelData] else {
            let isElsewhere =
                dataSet[.floatPixelData] != nil || dataSet[.doubleFloatPixelData] != nil
                || DataDictionary.tag(forKeyword: "PixelDataProviderURL").flatMap { dataSet[$0] } != nil
            guard isElsewhere || dataSet[.rows] == nil || dataSet[.bitsAllocated] == nil else {
                throw DescribedInstance.refusal("the metadata describe an image, but have no Pixel Data (7FE0,0010)")
            }
            return nil
        }
        let image: ImagePixelDescription
        do throws(DICOMError) {
            image = try ImagePixelDescription(dataSet)
        } catch {
            throw DescribedInstance.refusal("the metadata describe no image: \(error)")
        }
        if isInline {
            try Self.check(element.value.bytes?.readableBytes ?? 0, image)
            self = .native(Self.representation(element.vr, image))
            return
        }
        let found = try instance.pixelDataParts(parts)
        if case .native = parts.all[found[0]].content {
            guard found.count == 1 else {
                throw DescribedInstance.refusal(
                    "\(found.count) parts have the BulkDataURI of Pixel Data; native pixel data come in one, all frames together"
                )
            }
            try Self.check(parts.all[found[0]].byteCount, image)
            self = .native(Self.representation(element.vr, image))
        } else {
            self = try Self.frames(found, parts, image)
        }
    }

    private static func check(_ byteCount: Int, _ image: ImagePixelDescription) throws(DICOMWebError) {
        let expected = image.pixelDataByteCount
        guard byteCount == expected || byteCount == expected + expected % 2 else {
            throw DescribedInstance.refusal(
                "Pixel Data have \(byteCount) bytes; \(image.numberOfFrames) frames of \(image.rows) x \(image.columns) "
                    + "as the metadata describe them have \(expected)"
            )
        }
    }

    /// PS3.5 §A.2: OW where more than 8 bits are allocated, which metadata of what was encapsulated have as OB.
    private static func representation(_ vr: VR, _ image: ImagePixelDescription) -> VR {
        image.bitsAllocated <= 8 && vr == .ob ? .ob : .ow
    }

    private static func frames(
        _ found: [Int],
        _ parts: BulkDataParts,
        _ image: ImagePixelDescription
    ) throws(DICOMWebError) -> Self {
        var candidates: [TransferSyntax] = []
        var isVideo = false
        for (number, index) in found.enumerated() {
            switch parts.all[index].content {
            case .frame(let own, let isOwnVideo):
                candidates = number == 0 ? own : candidates.filter(own.contains)
                isVideo = isVideo || isOwnVideo
            case .native, .document:
                throw DescribedInstance.refusal(
                    "a part of Pixel Data is neither native pixel data nor a compressed frame"
                )
            case .unusable(let reason):
                throw DescribedInstance.refusal("a part of Pixel Data can't be used: \(reason)")
            }
        }
        guard let syntax = candidates.first else {
            throw DescribedInstance.refusal("the frames are in several transfer syntaxes, of which an instance has one")
        }
        let expected = isVideo ? 1 : image.numberOfFrames
        guard found.count == expected else {
            throw DescribedInstance.refusal(
                "Pixel Data come in \(found.count) parts, but \(expected) are expected: one for each frame, in order, "
                    + "all with the same Content-Location"
            )
        }
        return .frames(found, syntax, isVideo: isVideo)
    }
}

extension DescribedInstance {
    /// The parts of Pixel Data, at least one.
    fileprivate func pixelDataParts(_ parts: BulkDataParts) throws(DICOMWebError) -> [Int] {
        let found = pixelDataLocation.map(parts.at) ?? []
        guard !found.isEmpty else { throw Self.refusal("no part has the BulkDataURI of Pixel Data") }
        return found
    }
}
