// SPDX-License-Identifier: Apache-2.0

import DICOM

/// The functional groups of an enhanced image (PS3.3 §C.7.6.16) as they are for one frame.
struct FunctionalGroups {
    private let own: DataSet?
    private let shared: DataSet?

    /// `number` counts from 1.
    init(_ dataSet: DataSet, frame number: Int) {
        let frames = dataSet.items(.perFrameFunctionalGroupsSequence)
        self.own = number >= 1 && number <= frames.count ? frames[number - 1] : nil
        self.shared = dataSet.items(.sharedFunctionalGroupsSequence).first
    }

    /// The item of a macro: the frame's own, or the one that all share.
    func item(_ macro: Tag) -> DataSet? {
        own?.items(macro).first ?? shared?.items(macro).first
    }
}
