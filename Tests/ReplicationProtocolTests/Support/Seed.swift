// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The seed of random tests: `VARVE_SEED` from the environment, else a new one.
///
/// Failures print it.
enum Seed {
    static let value: UInt64 =
        ProcessInfo.processInfo.environment["VARVE_SEED"].flatMap(UInt64.init)
        ?? .random(
            in: 1 ... .max
        )
}
