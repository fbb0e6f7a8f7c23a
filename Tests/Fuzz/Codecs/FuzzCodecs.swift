// SPDX-License-Identifier: Apache-2.0

import FuzzHarness

/// The targets that call C libraries on pixels, with the address sanitizer.
@main
enum FuzzCodecs {
    static func main() {
        FuzzProgram.main(CodecFuzz.targets + [LosslessFuzz.target], usesAddressSanitizer: true)
    }
}
