// SPDX-License-Identifier: Apache-2.0

import FuzzHarness
import NIOCore
import SegmentFormat

/// The metadata of stored records; what was decoded and is encoded again decodes to the same.
enum RecordFuzz {
    static let target = FuzzTarget("record", maximumByteCount: 1_024, seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        guard let metadata = try? InstanceMetadata(decoding: input) else { return }
        do throws(SegmentFormatError) {
            let again = try InstanceMetadata(decoding: metadata.encode())
            FuzzTarget.check(again == metadata, "metadata decodes to other metadata")
        } catch {
            FuzzTarget.fail("metadata does not decode when encoded again: \(error)")
        }
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        // Fields that are there once, empty or zero: a list that decodes.
        [RecordSamples.metadata.encode()]
    }
}
