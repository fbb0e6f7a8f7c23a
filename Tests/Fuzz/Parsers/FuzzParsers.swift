// SPDX-License-Identifier: Apache-2.0

import FuzzHarness

/// The targets without C libraries that touch pixels.
@main
enum FuzzParsers {
    static func main() {
        FuzzProgram.main([
            DataSetFuzz.target, Part10Fuzz.target, JSONFuzz.target, JSONReadFuzz.target, TextFuzz.target,
            PDUFuzz.target,
            CommandFuzz.target, ReplicationFuzz.target, RecordFuzz.target, SegmentFuzz.target, WebFuzz.target,
            RangeFuzz.target, RenderingFuzz.target, DescribedFuzz.target, LifecycleFuzz.target, PackFuzz.target,
        ])
    }
}
