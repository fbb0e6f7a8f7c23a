// SPDX-License-Identifier: Apache-2.0

package import Catalog
import NIOConcurrencyHelpers
package import NIOCore

/// Where the store path leaves what is to be looked at again, without waiting for anything.
///
/// In memory: what is lost with the process, or has no room while the catalog is away, is looked at never. That does no
/// harm.
package final class WatchIntake: Sendable {
    package struct Sample: Sendable {
        package let instance: WatchedInstance
        package let acceptedAt: NIODeadline
    }

    /// Samples that wait for the catalog.
    package static let limit = 100

    private struct State {
        var sampler: WatchSampler
        var samples: [Sample] = []
    }

    private let state: NIOLockedValueBox<State>

    package init(_ sampler: WatchSampler) {
        state = NIOLockedValueBox(State(sampler: sampler))
    }

    /// An instance was accepted; `isNoted`: the catalog has not heard of it yet.
    package func accepted(_ entry: InstanceEntry, isNoted: Bool) {
        var generator = SystemRandomNumberGenerator()
        let random = generator.next()
        let now = NIODeadline.now()
        state.withLockedValue { state in
            guard state.sampler.takes(at: Int64(now.uptimeNanoseconds / 1_000_000), random: random) else { return }
            let instance = WatchedInstance(entry, isNoted: isNoted)
            guard WatchedContent.Expected(instance) != nil, state.samples.count < Self.limit else { return }
            state.samples.append(Sample(instance: instance, acceptedAt: now))
        }
    }

    /// Takes all that wait.
    package func take() -> [Sample] {
        state.withLockedValue { state in
            defer { state.samples = [] }
            return state.samples
        }
    }

    /// Gives back what the catalog did not take; what has no room is dropped.
    package func giveBack(_ samples: ArraySlice<Sample>) {
        state.withLockedValue { state in
            state.samples = Array((samples + state.samples).prefix(Self.limit))
        }
    }
}
