// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat

extension PackInstance {
    /// Checks what writers and readers of packs rely on; `code` is that of the error.
    func validate(path: String, else code: PackError.Code) throws(PackError) {
        guard byteCount <= PackLimits.maximumInstanceByteCount else {
            throw PackError(.limitExceeded, "\(path) has \(byteCount) bytes, more than an instance may have")
        }
        guard (metadata?.readableBytes ?? 0) <= PackLimits.maximumMetadataByteCount else {
            throw PackError(.limitExceeded, "\(path) has more metadata than a record may have")
        }
        guard amendments.count <= PackLimits.maximumAmendmentCount else {
            throw PackError(.limitExceeded, "\(path) has more than \(PackLimits.maximumAmendmentCount) amendments")
        }
        for frame in frames where frame.offset > byteCount || frame.byteCount > byteCount - frame.offset {
            throw PackError(code, "\(path) has a frame beyond its end")
        }
        for amendment in amendments {
            guard amendment.amendment.subject == record else {
                throw PackError(code, "\(path) has an amendment that is about another record")
            }
            guard amendment.payload.readableBytes <= Amendment.maximumPayloadByteCount else {
                throw PackError(.limitExceeded, "\(path) has an amendment with too large a payload")
            }
        }
    }
}
