// SPDX-License-Identifier: Apache-2.0

/// How much of moving is done at once, and how long what fails is left alone.
package struct MoveLimits: Hashable, Sendable {
    /// Studies that are worked on at once: each keeps one storage node busy with reading and hashing.
    package var movesAtOnce = 2
    /// The most records of a pack; a study of more goes into several.
    package var recordsAPack = 8192
    /// The most bytes of a pack, but for one instance that is larger.
    package var bytesAPack: Int64 = 64 << 30
    /// How long what failed rests: 10 seconds, 20, 40, up to an hour.
    package var firstPause = Duration.seconds(10)
    package var longestPause = Duration.seconds(3600)
    /// After so many failures in turn a move needs a person.
    package var attempts = 12
    /// So often a node that did not write a pack may say that it is not there before it is believed.
    package var absences = 3

    /// Whether copies on storage nodes are dropped when packs have been proven that are to take their place.
    package var dropsCopies = false
    /// Instances whose copies are dropped in one transaction, for which stores wait.
    package var dropsAtOnce = 1024
    /// How long a move rests that a hold is in the way of.
    package var heldPause = Duration.seconds(60)

    /// How long a move rests that a medium is missing for, and the reading of a pack that was moved long ago.
    package var mediumPause = Duration.seconds(300)
    package var mediumRecheckPause = Duration.seconds(6 * 3600)

    /// Every pack is read whole again when that was done last so long ago; `nil`: only when somebody could not read from it.
    package var recheckAge: Duration? = .seconds(90 * 86_400)
    /// How often it is looked for such packs, and how many are taken up then.
    package var recheckInterval = Duration.seconds(60)
    package var rechecksAtOnce = 16

    package init() {}

    /// How long a move rests after its `attempt`th failure (from 1); `nil`: it needs a person.
    package func pause(afterAttempt attempt: Int) -> Duration? {
        guard attempt < attempts else { return nil }
        let doublings = min(max(0, attempt - 1), 16)
        return min(longestPause, firstPause * (1 << doublings))
    }
}
