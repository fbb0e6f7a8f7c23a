// SPDX-License-Identifier: Apache-2.0

import FuzzHarness

/// The targets in code of the roles, which bring most libraries with them.
@main
enum FuzzQueries {
    static func main() {
        FuzzProgram.main([IdentifierFuzz.target])
    }
}
