// SPDX-License-Identifier: Apache-2.0

import DICOM

/// Tags that only rendering names, by their PS3.6 keyword.
extension Tag {
    static var pixelAspectRatio: Tag { Tag(0x0028, 0x0034) }
    static var pixelPaddingRangeLimit: Tag { Tag(0x0028, 0x0121) }
    static var voiLUTFunction: Tag { Tag(0x0028, 0x1056) }
    static var modalityLUTSequence: Tag { Tag(0x0028, 0x3000) }
    static var voiLUTSequence: Tag { Tag(0x0028, 0x3010) }
    static var frameVOILUTSequence: Tag { Tag(0x0028, 0x9132) }
    static var pixelValueTransformationSequence: Tag { Tag(0x0028, 0x9145) }
    static var presentationLUTShape: Tag { Tag(0x2050, 0x0020) }
    static var sharedFunctionalGroupsSequence: Tag { Tag(0x5200, 0x9229) }
    static var perFrameFunctionalGroupsSequence: Tag { Tag(0x5200, 0x9230) }
}
